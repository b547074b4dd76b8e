"""Labels of every format become the same label files, and what is left out is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ean_transfer.data.conversion.report import Conversion
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.loading import LoadImage
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.images import read_labels
from ean_transfer.segmentation import CheckedAnnotations, SegFolder
from ean_transfer.segmentation.conversion import convert_masks
from ean_transfer.segmentation.conversion.colour_table import read_colour_table
from tests.data.conversion.formats import (
    POINTS,
    SIZE,
    SQUARE,
    dump,
    stem,
    write_coco,
    write_cvat,
    write_images,
    write_labelme,
    write_via,
    write_via3,
    write_via_csv,
    write_voc,
)
from tests.data.conversion.test_areas import runs_of, text_of

LEFT, TOP, RIGHT, BOTTOM = SQUARE
EXPECTED = np.zeros(SIZE, np.uint8)
EXPECTED[TOP:BOTTOM, LEFT:RIGHT] = 1


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def save(path: Path, pixels: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def coco_runs(root: Path, compressed: bool) -> Path:
    path = write_coco(root / "p.json", False)
    content = json.loads(path.read_text())
    runs = runs_of(EXPECTED > 0)
    counts = text_of(runs) if compressed else runs
    for annotation in content["annotations"]:
        annotation["segmentation"] = dict(size=list(SIZE), counts=counts)
    return dump(path, content)


def colour_masks(root: Path) -> Path:
    colours = np.array([(0, 0, 0), (200, 10, 30)], np.uint8)
    for name in POINTS:
        save(root / "masks" / f"{stem(name)}_mask.png", colours[EXPECTED])
    (root / "table.csv").write_text("name,r,g,b\nbackground,0,0,0\nperson,200,10,30\n")
    return root / "masks"


def palette_masks(root: Path) -> Path:
    for name in POINTS:
        path = root / "masks" / f"{stem(name)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(EXPECTED * 5)
        image.putpalette([9, 9, 9] * 256)
        image.save(path)
    dump(root / "table.csv", "").write_text("value;class\n5;person\n0;background\n")
    return root / "masks"


def class_masks(root: Path) -> Path:
    for name in POINTS:
        save(root / "masks" / "person" / f"{stem(name)}.png", EXPECTED * 255)
    return root / "masks"


FORMATS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "coco": ("coco", lambda root: write_coco(root / "p.json", False)),
    "coco runs": ("coco", lambda root: coco_runs(root, False)),
    "coco compressed": ("coco", lambda root: coco_runs(root, True)),
    "labelme": ("labelme", lambda root: write_labelme(root / "ann", False)),
    "cvat": ("cvat", lambda root: write_cvat(root / "p.xml", False)),
    "via": ("via", lambda root: write_via(root / "p.json", False)),
    "via 3": ("via", lambda root: write_via3(root / "p.json", False)),
    "via csv": ("via", lambda root: write_via_csv(root / "p.csv", False)),
    "colours": ("colours", colour_masks),
    "palette": ("colours", palette_masks),
    "class masks": ("class-masks", class_masks),
}


def convert(source: Path, images: Path, dry_run: bool = False, **options: Any) -> Conversion:
    table = images.parent / "table.csv"
    given_table = {"table": str(table)} if table.is_file() else {}
    settings = Settings(**(given_table | options))
    return convert_masks(source, images, images.parent, settings, dry_run)


def labels_of(root: Path) -> dict[str, Any]:
    """Label file -> its labels."""
    folder = root / "labels"
    return {f.relative_to(folder).as_posix(): read_labels(f) for f in folder.rglob("*.png")}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_labels(tmp_path: Path, images: Path, kind: str) -> None:
    name, write = FORMATS[kind]
    source = write(tmp_path)
    options = {"classes": ("background", "person")} if kind == "palette" else {}
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    report = convert(source, images, **options)
    assert report.format == name and not report.left_out and not report.not_annotated
    assert report.classes == {"0 background:": 3, "1 person:": 3, "255 ignored:": 0}
    labels = labels_of(tmp_path)
    assert sorted(labels) == ["b.png", "c.d.png", "street/a 1.png"]
    assert all(np.array_equal(values, EXPECTED) for values in labels.values())
    assert {file: file.read_bytes() for file in before} == before
    dataset = SegFolder(tmp_path, pipeline=[dict(type=LoadImage), dict(type=CheckedAnnotations)])
    assert dataset.metainfo["classes"] == ("background", "person")
    assert all(np.array_equal(sample["gt_seg_map"], EXPECTED) for sample in dataset)


def test_boxes_of_voc_are_refused_with_advice(tmp_path: Path, images: Path) -> None:
    source = write_voc(tmp_path / "ann")
    with pytest.raises(DataError, match="found a file of the format voc; .*SegmentationClass"):
        convert(source, images)
    with pytest.raises(ConfigError, match="found voc; .*SegmentationClass"):
        convert(source, images, format="voc")


def test_a_dry_run_writes_nothing(tmp_path: Path, images: Path) -> None:
    source = class_masks(tmp_path)
    files = sorted(tmp_path.rglob("*"))
    report = convert(source, images, dry_run=True)
    assert report.annotated == 3 and sorted(tmp_path.rglob("*")) == files


def test_an_error_leaves_nothing_behind(tmp_path: Path, images: Path) -> None:
    source = class_masks(tmp_path)
    (source / "person" / "c.d.png").write_bytes(b"")
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"c\.d\.png: expected an image"):
        convert(source, images)
    assert sorted(tmp_path.rglob("*")) == files


def test_results_are_not_replaced(tmp_path: Path, images: Path) -> None:
    source = class_masks(tmp_path)
    convert(source, images)
    with pytest.raises(ConfigError, match="labels: expected nothing of that name yet"):
        convert(source, images)
    (tmp_path / "labels").rename(tmp_path / "other")
    (tmp_path / "classes.txt").write_text("a\nb\n")
    with pytest.raises(ConfigError, match="classes.txt: expected the classes background, person"):
        convert(source, images)


def test_classes_are_chosen_ordered_and_ignored(tmp_path: Path, images: Path) -> None:
    def shape(label: str, left: int, right: int, kind: str = "rectangle") -> dict[str, Any]:
        return dict(label=label, points=[(left, 0), (right, 30)], shape_type=kind)

    shapes = [shape("tree", 0, 8), shape("car", 4, 12), shape("void", 20, 30)]
    shapes += [shape("sky", 30, 40), shape("car", 0, 0), shape("car", 1, 9, "line")]
    source = dump(tmp_path / "b.json", dict(shapes=shapes, imagePath="b.png"))
    report = convert(source, images, classes=("tree", "car"))
    row = labels_of(tmp_path)["b.png"][7]
    assert row.tolist() == [1] * 4 + [2] * 8 + [0] * 8 + [255] * 10 + [0] * 10
    assert (tmp_path / "classes.txt").read_text() == "background\ntree\ncar\n"
    numbers = {reason: what["number"] for reason, what in report.left_out.items()}
    assert numbers == {
        "objects of the class sky": 1,
        "objects that cover no pixel": 1,
        "points and lines, which have no area": 1,
    }
    assert report.not_annotated == ["c.d.jpg", "street/a 1.JPG"]
    (tmp_path / "labels").rename(tmp_path / "other")
    (tmp_path / "classes.txt").unlink()
    convert(source, images, classes=("car", "tree"), rest="ignore")
    row = labels_of(tmp_path)["b.png"][7]
    assert row.tolist() == [1] * 4 + [0] * 8 + [255] * 28
    with pytest.raises(ConfigError, match="class 'bus', found car, sky, tree, void"):
        (tmp_path / "labels").rename(tmp_path / "third")
        convert(source, images, classes=("bus",))


@pytest.mark.parametrize("folder", ["masks", "masks/person"])
def test_what_masks_are_called_after_is_taken_off(tmp_path: Path, folder: str) -> None:
    save(tmp_path / "images" / "a_rgb.png", np.zeros((*SIZE, 3)))
    save(tmp_path / folder / "a_gtFine_color.png", EXPECTED * 255)
    save(tmp_path / folder / "a_gtFine_other.png", EXPECTED)
    (tmp_path / "table.csv").write_text("value,class\n0,background\n255,person\n")
    convert(
        tmp_path / "masks",
        tmp_path / "images",
        image_suffix=("_rgb.png",),
        label_suffix=("_gtFine_color.png",),
        **({"table": str(tmp_path / "table.csv")} if folder == "masks" else {}),
    )
    assert (labels_of(tmp_path)["a.png"] == EXPECTED).all()


def test_empty_polygons_of_coco_are_nothing(tmp_path: Path, images: Path) -> None:
    source = write_coco(tmp_path / "p.json", False)
    content = json.loads(source.read_text())
    content["annotations"][0]["segmentation"].append([])  # beside the square
    content["annotations"][1]["segmentation"] = [[]]  # then the box is what is known
    convert(dump(source, content), images)
    assert all((labels == EXPECTED).all() for labels in labels_of(tmp_path).values())


@pytest.mark.parametrize("unknown", [0, None])
def test_coco_may_not_know_an_images_size(
    tmp_path: Path, images: Path, unknown: int | None
) -> None:
    source = write_coco(tmp_path / "p.json", False)
    content = json.loads(source.read_text())
    for info in content["images"]:
        info["height"] = info["width"] = unknown
    convert(dump(source, content), images)
    assert all((labels == EXPECTED).all() for labels in labels_of(tmp_path).values())


def test_smaller_areas_of_coco_are_on_top(tmp_path: Path, images: Path) -> None:
    def annotation(category: int, right: int, area: float) -> dict[str, Any]:
        ring = [0, 0, right, 0, right, 30, 0, 30]
        return dict(image_id=1, category_id=category, segmentation=[ring], area=area)

    names = [dict(id=2, name="cup"), dict(id=1, name="table"), dict(id=3, name="spoon")]
    content = dict(
        images=[dict(id=1, file_name="b.png", height=30, width=40)],
        annotations=[annotation(2, 10, 300), annotation(1, 20, 600)],
        categories=names,
    )
    convert(dump(tmp_path / "p.json", content), images)
    assert labels_of(tmp_path)["b.png"][3].tolist() == [2] * 10 + [1] * 10 + [0] * 20
    assert (tmp_path / "classes.txt").read_text() == "background\ntable\ncup\nspoon\n"


def test_colours_that_the_table_lacks_are_counted(tmp_path: Path, images: Path) -> None:
    source = colour_masks(tmp_path)
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[0, :5], pixels[1, :3] = (190, 12, 33), (0, 255, 0)
    save(source / "b_mask.png", pixels)
    message = r"table.csv: .*lacks #be0c21 in 5 pixels \(b.png\), #00ff00 in 3 pixels"
    with pytest.raises(DataError, match=message):
        convert(source, images)
    assert not (tmp_path / "labels").exists()
    report = convert(source, images, unknown="nearest")
    assert labels_of(tmp_path)["b.png"][:2, :6].tolist() == [[1] * 5 + [0], [0] * 6]
    assert [what["number"] for what in report.left_out.values()] == [8]
    (tmp_path / "labels").rename(tmp_path / "other")
    convert(source, images, unknown="ignore")
    assert labels_of(tmp_path)["b.png"][:2, :6].tolist() == [[255] * 5 + [0], [255] * 3 + [0] * 3]


def test_a_class_with_two_masks_of_an_image_is_refused(tmp_path: Path, images: Path) -> None:
    source = class_masks(tmp_path)
    first = min(source.rglob("*.png"))
    shutil.copy(first, first.with_suffix(".tif"))
    with pytest.raises(DataError, match=rf"{first.stem}\.tif: .*found {first.name} as well"):
        convert(source, images)


def test_masks_of_several_classes_overlap_and_blur(tmp_path: Path, images: Path) -> None:
    source = class_masks(tmp_path)
    whole = np.full(SIZE, 255)
    whole[:, 20:] = 3
    save(source / "zebra" / "b.png", whole)
    with pytest.raises(DataError, match=r"zebra.b.png: expected a binary mask.*use --threshold"):
        convert(source, images)
    report = convert(source, images, threshold=127)
    values = labels_of(tmp_path)["b.png"]
    assert (values[:, :20] == 2).all() and not values[:, 20:].any()
    assert report.left_out["pixels in masks of several classes: the last one counts"] == {
        "number": 100,
        "first": ["b.png"],
    }
    save(source / "zebra" / "b.png", np.zeros((5, 5)))
    (tmp_path / "labels").rename(tmp_path / "other")
    with pytest.raises(DataError, match="b.png: expected a mask of 40 x 30 pixels"):
        convert(source, images)


RED, GREY = (255, 0, 0), (7, 7, 7)
TABLES = {
    "csv": "r,g,b,class\n255,0,0,car\n7,7,7,road\n",
    "names first": "label;Red;Green;Blue\ncar;255;0;0\nroad;7;7;7\n",
    "no header": "car,255,0,0\nroad,7,7,7\n",
    "hex": "color\tname\n#FF0000\tcar\n#070707\troad\n",
    "text": 'color,name\n"255,0,0",car\n"(7, 7, 7)",road\n',
    "cvat": "# label:color_rgb:parts:actions\ncar:255,0,0::\nroad:7,7,7::\n",
    "json": json.dumps({"#ff0000": "car", "[7, 7, 7]": "road"}),
    "json by class": json.dumps({"car": [255, 0, 0], "road": "7 7 7"}),
    "json list": json.dumps(
        {
            "classes": [
                {"title": "car", "color": "#ff0000"},
                {"title": "road", "color": [7, 7, 7]},
            ]
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_every_kind_say_the_same(tmp_path: Path, kind: str) -> None:
    file = tmp_path / ("t.json" if kind.startswith("json") else "t.csv")
    file.write_text(TABLES[kind])
    table = read_colour_table(file, Settings())
    assert table.classes == ("car", "road") and not table.of_values
    assert table.labels == {RED: 0, GREY: 1}
    table = read_colour_table(file, Settings(classes=("road",)))
    assert table.classes == ("road",) and table.labels == {RED: 255, GREY: 0}
    table = read_colour_table(file, Settings(ignore=("car",)))
    assert table.classes == ("road",) and table.labels == {RED: 255, GREY: 0}


def test_numbers_in_a_table_are_the_labels(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("value,class\n10,2\n20,0\n30,255\n40,2\n50,void\n")
    table = read_colour_table(tmp_path / "t.csv", Settings())
    assert table.classes == ("0", "1", "2") and table.of_values
    assert table.labels == {(10,): 2, (20,): 0, (30,): 255, (40,): 2, (50,): 255}


@pytest.mark.parametrize(
    "text",
    ["", "r,g,b\n1,2,3\n", "r,g,b,class\n1,2,300,a\n", "r,g,b,class\n1,2,3,a\n1,2,3,b\n", "{"],
)
def test_a_bad_table_is_one_line(tmp_path: Path, images: Path, text: str) -> None:
    source = colour_masks(tmp_path)
    name = "t.json" if text == "{" else "t.csv"
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}: expected a table") as error:
        convert(source, images, table=str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_masks_without_a_table_are_refused(tmp_path: Path, images: Path) -> None:
    source = colour_masks(tmp_path)
    (tmp_path / "table.csv").unlink()
    (source / "street" / "a 1_mask.png").unlink()
    (source / "street").rmdir()
    with pytest.raises(ConfigError, match="masks: expected a table .* --table FILE"):
        convert(source, images)


@given(st.integers(0, 255), st.integers(0, 255))
def test_nearest_colours_are_nearest(red: int, other: int) -> None:
    from ean_transfer.segmentation.conversion.colours import _nearest

    colours = np.array([(0, 0, 0), (200, 10, 30), (255, 255, 255)])
    value = np.array([red << 16 | other << 8 | other])
    distances = ((colours - (red, other, other)) ** 2).sum(axis=1)
    chosen = _nearest(value, colours, np.array([0, 1, 2], np.uint8))[0]
    assert distances[chosen] == distances.min()


def test_labels_are_named_as_the_images_without_the_suffix_that_was_given(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a_rgb.png", np.zeros((*SIZE, 3)))
    save(tmp_path / "masks" / "a.png", EXPECTED)
    (tmp_path / "table.csv").write_text("value,class\n0,rest\n1,person\n")
    suffix = ("_rgb.png",)
    report = convert(tmp_path / "masks", tmp_path / "images", image_suffix=suffix)
    assert list(labels_of(tmp_path)) == ["a.png"]
    assert report.check.endswith("--data-option img_suffix=_rgb.png --sheet sheet.png")
    assert len(SegFolder(tmp_path, img_suffix="_rgb.png")) == 1


@pytest.mark.parametrize("number", [255, 256, 300])
def test_more_classes_than_labels_are_refused_in_every_format(
    tmp_path: Path, images: Path, number: int
) -> None:
    source = colour_masks(tmp_path)
    rows = [f"{i % 256},{i // 256},9,class {i}" for i in range(number)]
    (tmp_path / "table.csv").write_text("\n".join(["r,g,b,class", *rows]))
    with pytest.raises(ConfigError, match=f"table.csv: expected 1 to 254 classes, found {number}"):
        convert(source, images, unknown="ignore")
