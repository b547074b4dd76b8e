"""``ean dataset convert classification``: class folders out of a table of files and labels."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ean_transfer.data.conversion.matching import ImageIndex, named_in_full
from ean_transfer.data.conversion.report import Conversion, LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.sources import find_source
from ean_transfer.data.conversion.tables import Row, Table, read_table
from ean_transfer.data.conversion.writing import new_folder, refuse_existing
from ean_transfer.data.plain import CLASSES
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.progress import progress_bar


def convert_classes(
    root: Path, images: Path, out_dir: Path, settings: Settings, dry_run: bool = False
) -> Conversion:
    """Link the images that a table names into one folder per class, for an ``ImageFolder``.

    Args:
        root: The CSV file; it is only read.
        images: The folder of the images, which stay there as well.
        out_dir: New folder of the class folders.
        settings: How the table is read, and whether images are copied.
        dry_run: Whether to write nothing.

    Raises:
        ConfigError: A setting does not fit, or the folder exists.
        DataError: The table cannot be read, or a label cannot be a folder's name.
    """
    refuse_existing(out_dir)
    source = find_source(root, settings, [], {"csv"})
    index, left_out = ImageIndex(images, settings.image_suffix), LeftOut()
    class_of: dict[str, str] = {}
    contradicted = {
        name
        for file in source.files
        for name in _read(read_table(file), settings, index, class_of, left_out)
    }
    for name in sorted(contradicted):
        del class_of[name]
        left_out.add("images with two labels", name)
    if not class_of:
        raise DataError(
            f"{root}: expected a table with images of {images}, found none of them in it; check "
            "--images and --column"
        )
    number = Counter(class_of.values())
    if unknown := [name for name in settings.classes if name not in number]:
        raise ConfigError(
            f"{root}: expected images of the class {unknown[0]!r}, found "
            f"{', '.join(sorted(number))}; correct --classes"
        )
    classes = settings.classes or tuple(sorted(number))
    if not dry_run:
        with new_folder(out_dir) as folder:
            _fill(folder, index, class_of, settings.copies)
            (folder / CLASSES).write_text("\n".join(classes) + "\n", encoding="utf-8")
    return Conversion(
        source=root,
        format=source.format,
        target=out_dir,
        images=len(index.images),
        annotated=len(class_of),
        written=f"{len(class_of)} images in {len(classes)} class folders",
        classes={name: number[name] for name in classes},
        left_out=left_out.summary(),
        not_annotated=[name for name in index.images if name not in class_of],
        check=f"ean dataset check classification {out_dir} --sheet sheet.png",
        dry_run=dry_run,
    )


def _read(
    table: Table,
    settings: Settings,
    index: ImageIndex,
    class_of: dict[str, str],
    left_out: LeftOut,
) -> Iterator[str]:
    """Add a table's images and their classes; yield those that have another class already."""
    image_column, label_column = _columns(table, settings)
    in_full = named_in_full((row.cells.get(image_column, "") for row in table.rows), index)
    for row in table.rows:
        reference, label = row.cells.get(image_column, ""), row.cells.get(label_column, "")
        names = index.find(reference)
        if not label:
            left_out.add("lines without a label", reference)
        elif settings.classes and label not in settings.classes:
            left_out.add(f"images of the class {label}", reference)
        elif len(names) != 1:
            problem = "several images have their name" if names else "no image of their name"
            left_out.add(f"lines: {problem}", reference)
        elif names[0] in in_full and names[0] != index.plain(reference):
            left_out.add("lines: another one has their image", reference)
        elif class_of.setdefault(names[0], _folder_name(table, row, label)) != label:
            yield names[0]


def _columns(table: Table, settings: Settings) -> tuple[str, str]:
    meanings = table.meanings(("image", "label"), settings.columns)
    if not settings.columns and len(meanings) < 2 and len(table.columns) == 2:
        return table.columns[0], table.columns[1]
    if len(meanings) < 2:
        raise DataError(
            f"{table.file}: expected columns of images and labels, found {table.listed}; name them "
            "with --column image=NAME --column label=NAME"
        )
    return meanings["image"], meanings["label"]


def _folder_name(table: Table, row: Row, label: str) -> str:
    """A label that is a plain folder name: nothing is written elsewhere, or hidden."""
    if PurePosixPath(label).name != label or label.startswith((".", "__MACOSX")) or "\\" in label:
        raise DataError(
            f"{table.file}, line {row.line}: expected a label that can be a folder's name, found "
            f"{label!r:.80}; rename the class"
        )
    return label


def _fill(folder: Path, index: ImageIndex, class_of: dict[str, str], copies: bool) -> None:
    """Link or copy the images into their class folders."""
    with progress_bar() as progress:
        task = progress.add_task("copying" if copies else "linking", total=len(class_of), note="")
        for name, label in class_of.items():
            target = folder / label / name
            target.parent.mkdir(parents=True, exist_ok=True)
            image = index.images[name].resolve()
            if copies or not _linked(image, target):
                shutil.copyfile(image, target)
            progress.advance(task)


def _linked(image: Path, target: Path) -> bool:
    """Whether a hard link could be made; some file systems have none, and none leads to another."""
    try:
        os.link(image, target)
    except OSError:
        return False
    return True
