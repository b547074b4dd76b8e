"""Which image of a folder an annotation means, however it names the image."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ean_transfer.data.conversion.objects import AnnotatedImage
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.plain import plain_path
from ean_transfer.errors import DataError
from ean_transfer.io.image_files import IMAGE_SUFFIXES, has_suffix, list_images
from ean_transfer.io.images import Exif, read_image_size

_AFFIXES = re.compile(r"gt_|[_-]?(ann|dots?|gt|points?|mask|labels?|labelids|seg|segmentation)")
"""What names of annotation files have more than those of their images, at either end."""


_BOTH: tuple[Exif, Exif] = ("apply", "ignore")


class ImageIndex:
    """The images of a folder and the folders within it.

    Args:
        folder: The folder.
        suffixes: Ends of the images' names.
        other_folder: A folder that holds no images but labels, and may lie within it.

    Raises:
        DataError: There is no image.

    Attributes:
        images: Path in the folder, with slashes -> image; sorted.
        stems: Path in the folder -> the path without the suffix that was asked for.
    """

    def __init__(
        self,
        folder: Path,
        suffixes: Sequence[str] = IMAGE_SUFFIXES,
        other_folder: Path | None = None,
    ) -> None:
        listed = list_images(folder, suffixes, recursive=True)
        others = _folders_within({image.parent for image in listed.images}, folder, other_folder)
        own = [image for image in listed.images if image.parent not in others]
        if not own:
            problem = "none" if folder.is_dir() else "no such folder"
            raise DataError(
                f"{folder}: expected the folder of the images (*{' *'.join(suffixes)}), found "
                f"{problem}; name it with --images, or the ends of the names with --image-suffix"
            )
        self._folder = folder
        self.images = {image.relative_to(folder).as_posix(): image for image in own}
        self.stems: dict[str, str] = {}
        self._by_tail: dict[str, list[str]] = {}
        for name in self.images:
            ends = [end for end in suffixes if has_suffix(name, [end])]
            stem = self.stems[name] = name[: -len(max(ends, key=len)) or None]
            for tail in {*_tails(name), *_tails(stem)}:
                self._by_tail.setdefault(tail, []).append(name)

    def find(self, reference: str) -> list[str]:
        """The images that a reference may mean: one if it is clear, none if there is none.

        Looked for is the path in the folder, then ever shorter ends of it, as annotations name
        folders of other machines; at last the name without the suffix, and without what annotation
        files' names have more, such as ``GT_``. Capitals make no difference, nor does whether an
        umlaut is one character or a letter and its dots, as files from a Mac often have it.

        Args:
            reference: A path, a file name, or a name without suffix.
        """
        plain = self.plain(reference)
        stem = (
            str(PurePosixPath(plain).with_suffix("")) if has_suffix(plain, IMAGE_SUFFIXES) else ""
        )
        names = [plain, stem, *_without_affixes(plain)]
        for name in filter(None, names):
            for tail in _tails(name):
                images = self._by_tail.get(tail, [])
                # A path from the folder itself means that image, and no other of its name.
                whole = [i for i in images if tail.count("/") == name.count("/") == i.count("/")]
                if images:
                    return whole if len(whole) == 1 else _most_alike(images, name)
        return []

    def plain(self, reference: str) -> str:
        """A reference with slashes, as the path in the folder where it leads into the folder."""
        return plain_path(reference).removeprefix(f"{self._folder.as_posix()}/")


def own_name(file: Path, suffixes: Sequence[str]) -> str:
    """What the annotation file of one image shares with the image's path.

    Args:
        file: The annotation file.
        suffixes: Ends of such files' names; without one of them, the file's suffix is taken off.
    """
    ends = [end for end in suffixes if has_suffix(file, [end])]
    end = max(ends, key=len, default=file.suffix)
    return file.as_posix()[: -len(end) or None]


def named_in_full(references: Iterable[str], index: ImageIndex) -> set[str]:
    """The images that some references name by their whole paths.

    Another reference that only ends like one of these paths means another image, which is missing:
    of ``cam1/1.jpg`` and ``cam2/1.jpg``, the second alone means the image ``cam2/1.jpg``.

    Args:
        references: What annotations call their images.
        index: The images.
    """
    return {index.plain(reference) for reference in references} & index.images.keys()


def _folders_within(
    folders: Iterable[Path], images: Path, other_folder: Path | None
) -> Collection[Path]:
    """Those of the images' folders that lie in the other one, whether paths are relative or not."""
    if other_folder is None or images.resolve().is_relative_to(other_folder.resolve()):
        return ()
    return {path for path in folders if path.resolve().is_relative_to(other_folder.resolve())}


def _most_alike(images: list[str], reference: str) -> list[str]:
    """The images whose folders have most names in common with those of a reference.

    ``train/images/1.jpg`` belongs to ``train/ground-truth/1``, and ``test/images/1.jpg`` does not.
    """
    folders = {*_folded(reference).split("/")[:-1]}
    alike = [len(folders.intersection(_folded(image).split("/")[:-1])) for image in images]
    return [image for image, number in zip(images, alike, strict=True) if number == max(alike)]


def _tails(path: str) -> list[str]:
    """A path and all shorter ends of it: ``a/b/c``, ``b/c``, ``c``."""
    parts = _folded(path).split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _folded(path: str) -> str:
    """A path as it is compared: without capitals, each accent part of its letter."""
    return unicodedata.normalize("NFC", path.casefold())


def _without_affixes(path: str) -> Iterator[str]:
    head, slash, name = path.rpartition("/")
    for pattern in (rf"^({_AFFIXES.pattern})", rf"({_AFFIXES.pattern})$"):
        shorter = re.sub(pattern, "", name, flags=re.IGNORECASE)
        if shorter and shorter != name:
            yield f"{head}{slash}{shorter}"
            name = shorter


def match(
    annotated: Sequence[AnnotatedImage], index: ImageIndex, folder: Path, left_out: LeftOut
) -> dict[str, AnnotatedImage]:
    """Image's path in the folder -> its annotation, with the image's size.

    Where an EXIF orientation turns the image, the size is the one that was annotated, or else that
    of the turned image.

    Args:
        annotated: The annotations.
        index: The images.
        folder: The folder of the images.
        left_out: Where to say which annotations fit no image, or several, or not the image's size.

    Raises:
        DataError: No annotation fits an image.
    """
    matched: dict[str, AnnotatedImage] = {}
    in_full = named_in_full((image.image for image in annotated), index)
    for image in annotated:
        names = index.find(image.image)
        if len(names) != 1:
            problem = "several images have their name" if names else "no image of their name"
            left_out.add(
                f"annotations: {problem}", "/".join(plain_path(image.image).split("/")[-2:])
            )
            continue
        name = names[0]
        if name in matched or (name in in_full and name != index.plain(image.image)):
            left_out.add("annotations: another one has their image", image.where)
            continue
        try:
            sizes = [read_image_size(index.images[name], exif) for exif in _BOTH]
        except DataError:
            left_out.add("annotations: their image cannot be read", name)
            continue
        if image.size not in (None, *sizes):
            left_out.add("annotations: their image has another size", name)
            continue
        matched[name] = replace(image, size=image.size or sizes[0])
    if not matched:
        first = f"{annotated[0].image!r:.100}" if annotated else "no annotation at all"
        image_name = next(iter(index.images))
        reasons = "".join(f"; {what['number']} {r}" for r, what in left_out.summary().items())
        raise DataError(
            f"{folder}: expected images that are annotated, such as {first}, found none among "
            f"{len(index.images)} such as {image_name!r:.100}; check --images, "
            f"and for a table --column image=NAME{reasons[:300]}"
        )
    return matched
