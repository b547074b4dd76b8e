"""Points of every format become the same table, and what is left out is said."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ean_transfer.crowd_counting import PointsDataset
from ean_transfer.crowd_counting.conversion import convert_points
from ean_transfer.data.conversion.report import Conversion
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.errors import ConfigError, DataError
from tests.data.conversion.formats import (
    POINTS,
    dump,
    stem,
    write_coco,
    write_cvat,
    write_cvat_video,
    write_dots,
    write_images,
    write_labelme,
    write_via,
    write_via3,
    write_via_csv,
    write_voc,
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def table_lines(header: str, write: Callable[[str, float, float], str]) -> str:
    lines = [write(name, x, y) for name, marks in POINTS.items() for x, y in marks]
    return "\n".join([header, *lines]) + "\n"


def one_csv(root: Path) -> Path:
    text = table_lines("Filename;Kind;CX;CY", lambda name, x, y: f"{name};p;{x};{y}")
    return written(root / "p.csv", text.replace(".25", ",25"))


def box_csv(root: Path) -> Path:
    header = "file_name,xmin,ymin,xmax,ymax,class"
    rows = table_lines(header, lambda name, x, y: f"{name},{x - 2},{y - 1},{x + 2},{y + 1},p")
    return written(root / "p.csv", rows)


def corner_csv(root: Path) -> Path:
    header = "image\tx\ty\twidth\theight"
    rows = table_lines(header, lambda name, x, y: f"{name}\t{x - 2}\t{y - 1}\t4\t2")
    return written(root / "p.tsv", rows)


def bare_csv(root: Path) -> Path:
    return written(root / "p.csv", table_lines("", lambda name, x, y: f"{name},{x},{y}"))


def csv_per_image(root: Path) -> Path:
    for name, marks in POINTS.items():
        lines = ["id,X,Y", *(f"{i},{x},{y}" for i, (x, y) in enumerate(marks))]
        written(root / "ann" / f"{stem(name)}.csv", "\n".join(lines) + "\n")
    return root / "ann"


def text_per_image(root: Path) -> Path:
    for name, marks in POINTS.items():
        if marks:
            lines = [f"{x}   {y}" for x, y in marks]
            written(root / "ann" / f"GT_{stem(name)}.txt", "\n".join(lines))
    return root / "ann"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def one_json(root: Path) -> Path:
    return dump(root / "p.json", POINTS)


def json_records(root: Path) -> Path:
    records = [dict(image=n, x=x, y=y) for n, marks in POINTS.items() for x, y in marks]
    return dump(root / "p.json", records)


def json_lists(root: Path) -> Path:
    entries = [
        dict(file_name=name, points=[dict(x=x, y=y) for x, y in marks])
        for name, marks in POINTS.items()
    ]
    return dump(root / "p.json", entries)


def json_per_image(root: Path) -> Path:
    for name, marks in POINTS.items():
        dump(root / "ann" / f"{stem(name)}.json", dict(points=marks, human_num=len(marks)))
    return root / "ann"


def npy(root: Path) -> Path:
    for name, marks in POINTS.items():
        path = root / "ann" / f"{stem(name)}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.array(marks).reshape(-1, 2))
    return root / "ann"


def mat(root: Path) -> Path:
    for name, marks in POINTS.items():
        path = root / "ann" / Path(name).parent / f"GT_{Path(stem(name)).name}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        info = np.empty((1, 1), dtype=[("location", object)])
        info[0, 0] = (np.array(marks, dtype=float).reshape(-1, 2),)
        scipy.io.savemat(path, {"image_info": info})
    return root / "ann"


FORMATS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "one table": ("csv", one_csv),
    "boxes": ("csv", box_csv),
    "corner and size": ("csv", corner_csv),
    "no header": ("csv", bare_csv),
    "a table per image": ("csv", csv_per_image),
    "text per image": ("csv", text_per_image),
    "json": ("json", one_json),
    "json records": ("json", json_records),
    "json lists": ("json", json_lists),
    "json per image": ("json", json_per_image),
    "coco": ("coco", lambda root: write_coco(root / "p.json", True)),
    "labelme": ("labelme", lambda root: write_labelme(root / "ann", True)),
    "cvat": ("cvat", lambda root: write_cvat(root / "p.xml", True)),
    "via": ("via", lambda root: write_via(root / "p.json", True)),
    "via 3": ("via", lambda root: write_via3(root / "p.json", True)),
    "via csv": ("via", lambda root: write_via_csv(root / "p.csv", True)),
    "voc": ("voc", lambda root: write_voc(root / "ann")),
    "npy": ("npy", npy),
    "mat": ("mat", mat),
    "dots": ("dots", lambda root: write_dots(root / "ann", (7, 200, 3))),
}


def convert(source: Path, images: Path, dry_run: bool = False, **options: Any) -> Conversion:
    return convert_points(source, images, images, Settings(**options), dry_run)


def read(images: Path) -> dict[str, list[list[float]]]:
    """Image -> points, as the data set has them."""
    dataset = PointsDataset(images)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return {
        Path(info["img_path"]).relative_to(images).as_posix(): info["points"].tolist()
        for info in infos
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_points(tmp_path: Path, images: Path, kind: str) -> None:
    name, write = FORMATS[kind]
    source = write(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    report = convert(source, images)
    whole = name == "dots"
    expected = {
        image: [[int(x), int(y)] if whole else [x, y] for x, y in marks]
        for image, marks in POINTS.items()
    }
    result = read(images)
    assert {image: sorted(points) for image, points in result.items()} == expected
    assert report.format == name and report.written == "3 points" and not report.left_out
    assert {file: file.read_bytes() for file in before} == before
    assert set(images.rglob("*.csv")) == {images / "points.csv"}


def test_a_dry_run_writes_nothing(tmp_path: Path, images: Path) -> None:
    report = convert(one_csv(tmp_path), images, dry_run=True)
    assert report.written == "3 points" and not list(images.rglob("points.csv"))


def test_what_is_there_is_not_replaced(tmp_path: Path, images: Path) -> None:
    source = one_csv(tmp_path)
    convert(source, images)
    with pytest.raises(ConfigError, match="points.csv: expected nothing of that name yet"):
        convert(source, images)
    with pytest.raises(ConfigError, match="points.csv: expected nothing of that name yet"):
        convert(images / "points.csv", images)


def test_left_out_is_counted_with_its_reason(tmp_path: Path, images: Path) -> None:
    (images / "x").mkdir()
    (images / "x" / "b.png").write_bytes((images / "b.png").read_bytes())
    (images / "y.png").write_bytes(b"no image")
    rows = ["image,x,y,label", "c.d.jpg,1,2,man", "c.d.jpg,nan,2,man", "c.d.jpg,900,2,man"]
    rows += ["c.d.jpg,3,4,dog", "gone.jpg,1,2,man", "z/b.png,1,2,man", "y.png,1,2,man"]
    report = convert(written(tmp_path / "p.csv", "\n".join(rows)), images, classes=("man",))
    numbers = {reason: what["number"] for reason, what in report.left_out.items()}
    assert numbers == {
        "objects of the class dog": 1,
        "annotations: no image of their name": 1,
        "annotations: several images have their name": 1,
        "annotations: their image cannot be read": 1,
        "points that are not finite": 1,
        "points far outside their image": 1,
    }
    assert report.left_out["annotations: no image of their name"]["first"] == ["gone.jpg"]
    assert report.not_annotated == ["b.png", "street/a 1.JPG", "x/b.png", "y.png"]
    assert "left out" in report.text("") and "gone.jpg" in report.text("")


def test_an_annotation_of_another_size_is_left_out(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", (60, 80))
    with pytest.raises(DataError, match="3 annotations: their image has another size"):
        convert(write_cvat(tmp_path / "p.xml", True), images)


def test_a_turned_image_may_be_annotated_either_way(tmp_path: Path, images: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(images / "c.d.jpg", exif=exif)
    report = convert(write_cvat(tmp_path / "p.xml", True), images)
    assert report.annotated == 3 and not report.left_out


def test_coco_objects_are_counted_by_keypoint_or_box(tmp_path: Path, images: Path) -> None:
    person = dict(id=1, name="person", keypoints=["nose", "foot"])
    common = dict(image_id=1, category_id=1)
    annotations = [
        common | dict(keypoints=[2, 2, 2, 4, 10, 1], bbox=[0, 0, 20, 20]),
        common | dict(keypoints=[0, 0, 0, 0, 0, 0], bbox=[10, 10, 4, 6]),
        common | dict(iscrowd=1, segmentation=dict(size=[30, 40], counts=[1200])),
        common | dict(segmentation=[[0, 0, 4, 0, 4, 2]]),
        common | dict(segmentation=dict(size=[30, 40], counts=[30 * 3 + 5, 4, 1101])),
        common,
        dict(image_id=99, category_id=1, bbox=[0, 0, 1, 1]),
    ]  # fmt: skip
    info = dict(id=1, file_name="b.png")
    content = dict(images=[info], annotations=annotations, categories=[person])
    source = dump(tmp_path / "coco.json", content)
    report = convert(source, images)
    numbers = {reason: what["number"] for reason, what in report.left_out.items()}
    assert numbers == {
        "annotations without box, area or keypoint": 1,
        "annotations of images that the file lacks": 1,
        "areas of several objects, or parts of one": 1,
    }
    assert read(images)["b.png"] == [[3, 6], [12, 13], [2, 1], [3.5, 7]]
    (images / "points.csv").unlink()
    convert(source, images, keypoint="nose")
    assert read(images)["b.png"] == [[2, 2], [12, 13], [2, 1], [3.5, 7]]
    (images / "points.csv").unlink()
    with pytest.raises(ConfigError, match="expected a keypoint 'eye', found foot, nose"):
        convert(source, images, keypoint="eye", dry_run=True)


def test_tracks_of_a_video_are_objects_of_its_frames(tmp_path: Path, images: Path) -> None:
    for number, name in enumerate(POINTS):
        (images / name).rename(images / f"frame_{number:06d}.PNG")
    report = convert(write_cvat_video(tmp_path / "p.xml", True), images)
    assert [*read(images).values()] == [[[*mark] for mark in marks] for marks in POINTS.values()]
    assert report.annotated == 3 and report.classes == {"person": 3}
    # A frame that all objects have left is one without objects, and one after the video's end none.
    assert report.left_out["annotations: no image of their name"]["first"] == ["frame_000003"]


def test_regions_of_via_3_may_be_in_videos_or_of_other_shapes(tmp_path: Path, images: Path) -> None:
    source = write_via3(tmp_path / "p.json", True)
    content = json.loads(source.read_text())
    common = dict(vid="2", av={"1": "7"})
    content["metadata"] |= {
        "a": common | dict(z=[1.5], xy=[1, 3, 4]),
        "b": common | dict(z=[], xy=[9, 1, 1, 2, 2, 3, 1]),
        "c": common | dict(z=[], xy=[7, 1, 1, 5, 1, 5, 7]),
        "d": common | dict(z=[], xy=[3, 8, 9, 2], av={"1": "a lorry"}),
    }
    report = convert(dump(source, content), images)
    assert read(images)["b.png"] == [[3, 4], [8, 9]]
    assert [*report.left_out] == [
        "regions of the shape in a video",
        "regions of the shape number 9",
    ]
    assert report.classes == {"person": 4, "a lorry": 1}


def test_labelme_groups_are_one_object(tmp_path: Path, images: Path) -> None:
    def shape(x: float, group: int | None) -> dict[str, Any]:
        corners = [(x, 1), (x + 2, 1), (x + 2, 3)]
        return dict(label="car", points=corners, shape_type="polygon", group_id=group)

    shapes = [shape(1, 5), shape(21, 5), shape(9, None), shape(9, None)]
    shapes.append(dict(label="car", points=[(1, 1), (4, 5)], shape_type="circle"))
    shapes.append(dict(label="car", points=[(1, 1), (2, 2)], shape_type="points"))
    dump(tmp_path / "ann" / "b.json", dict(shapes=shapes, imagePath="b.png"))
    report = convert(tmp_path / "ann", images)
    assert sorted(read(images)["b.png"]) == [[1, 1], [10, 2], [10, 2], [12, 2]]
    assert report.left_out["shapes of the type points"]["number"] == 1


def test_coordinates_may_be_shares_or_in_another_order(tmp_path: Path, images: Path) -> None:
    shares = dump(tmp_path / "shares.json", {"b.png": [[0.5, 0.1], [0.25, 1.0]]})
    with pytest.raises(DataError, match="found all 2 between 0 and 1; use --relative"):
        convert(shares, images)
    convert(shares, images, relative=True)
    assert read(images)["b.png"] == [[20, 3], [10, 30]]
    (images / "points.csv").unlink()
    rows_first = dump(tmp_path / "yx.json", {"b.png": [[3, 39], [20, 38]]})
    with pytest.raises(DataError, match="found 1 of 2 outside.* use --order yx") as error:
        convert(dump(tmp_path / "yx1.json", {"b.png": [[3, 39], [20, 12]]}), images)
    assert "\n" not in str(error.value)
    convert(rows_first, images, order="yx")
    assert read(images)["b.png"] == [[39, 3], [38, 20]]


def test_dots_and_images_may_share_a_folder(tmp_path: Path) -> None:
    for number in range(2):
        Image.fromarray(np.full((9, 9, 3), 50, np.uint8)).save(tmp_path / f"{number}cell.png")
        dots = np.zeros((9, 9), np.uint8)
        dots[number + 1, 3] = 255
        Image.fromarray(dots).save(tmp_path / f"{number}dots.png")
    with pytest.raises(ConfigError, match="--image-suffix cell.png --label-suffix dots.png"):
        convert(tmp_path, tmp_path)
    report = convert(tmp_path, tmp_path, image_suffix=("cell.png",), label_suffix=("dots.png",))
    assert report.check.endswith("--data-option image_suffix=cell.png --sheet sheet.png")
    dataset = PointsDataset(tmp_path, image_suffix="cell.png")
    assert [dataset.get_data_info(i)["points"].tolist() for i in range(2)] == [[[3, 1]], [[3, 2]]]


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("p.csv", "", {}, "p.csv: expected a table, found an empty file"),
        ("p.csv", "image,kind\na,b\n", {}, "p.csv: expected columns of points .* image, kind"),
        ("p.csv", "image,x,y\nb.png,1,2\nb.png,1,two\n", {}, "p.csv, line 3: .*found '1', 'two'"),
        ("p.csv", "image,x,y\nb.png,1,5,2,5\n", {}, "p.csv, line 2: expected 3 cells.*1,5,2,5"),
        ("p.txt", "x y\n1 10 20\n", {}, "p.txt, line 2: expected 2 cells.*'1 10 20'"),
        ("p.csv", "image,x,y\nq.png,1,2\n", {}, "annotated, such as 'q.png', found none among 3"),
        ("p.txt", "0 0.5 0.4 0.1 0.08\n", {}, "columns x, y in .* found 5 columns; .*--relative"),
        ("p.csv", "b.png,1,2,30,40\n", {}, "p.csv: expected the columns image, x, y in a table"),
        ("p.csv", "f,x,y\nb.png,1,2\n", {"columns": {"image": "g"}}, "column 'g' .* f, x, y"),
        ("p.csv", "Datei;X;Y\nb.png;1;2\n", {}, "found none among .* --column image=NAME"),
        ("p.csv", "image,x,y,label\nb.png,1,2,a\n", {"classes": ("b",)}, "class 'b', found a"),
        ("p.json", "{", {}, "p.json: expected JSON"),
        ("p.json", '{"b.png": [[1, 2, 3]]}', {}, r"p.json: .*format json.*shape \(1, 3\)"),
        ("p.json", '{"b.png": "x"}', {}, "p.json: expected annotations in the format json"),
        ("p.json", '{"images": [{}], "annotations": []}', {}, "format coco, found no 'file_"),
        ("p.json", '{"project": 1, "metadata": {}, "view": {"1": {}}}', {}, "format via, found no"),
        ("p.json", '{"a": [1]}', {"format": "yolo"}, "--from: expected one of coco, csv, cvat"),
        ("p.xml", "<annotation><object><bndbox/></object></annotation>", {}, "format voc, found"),
        ("p.xml", "<annotations><track/></annotations>", {}, "no image and no track .*; export"),
        ("p.xml", "<annotations>", {}, "p.xml: expected annotations in the format cvat"),
        ("p.xml", "", {}, "p.xml: expected XML"),
        ("p.npy", "x", {}, "p.npy: expected annotations in the format npy"),
        ("p.gz", "x", {}, "p.gz: expected annotations in one of the formats .*none that is"),
        (None, "", {}, "p: expected a file or a folder of annotations, found no such one"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    tmp_path: Path, images: Path, name: str | None, text: str, options: Any, message: str
) -> None:
    source = tmp_path / (name or "p")
    if name:
        source.write_text(text)
    with pytest.raises((DataError, ConfigError), match=message) as error:
        convert(source, images, **options)
    assert "\n" not in str(error.value) and not list(images.rglob("*.csv"))


def test_a_bomb_of_entities_is_refused(tmp_path: Path, images: Path) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    head = f'<!DOCTYPE a [<!ENTITY e0 "xxxxxxxxxx">{entities}]>'
    source = written(tmp_path / "p.xml", f"{head}<annotations>&e11;</annotations>")
    with pytest.raises(DataError, match="p.xml"):
        convert(source, images)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_of_other_bytes_than_utf_8_comes_back(tmp_path: Path, images: Path) -> None:
    name = os.fsdecode(b"stra\xdfe")
    (images / "b.png").rename(images / f"{name}.png")
    (tmp_path / "points").mkdir()
    np.save(tmp_path / "points" / f"{name}.npy", np.array([[1.0, 2.0]]))
    convert(tmp_path / "points", images)
    assert read(images)[f"{name}.png"] == [[1.0, 2.0]]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 40, width=32), st.floats(0, 30, width=32)), max_size=9))
def test_points_come_back_as_they_were(images: Path, points: list[tuple[float, float]]) -> None:
    source = images.parent / "p.json"
    source.write_text(json.dumps({"b.png": points}))
    (images / "points.csv").unlink(missing_ok=True)
    try:
        convert(source, images)
    except DataError as error:
        assert "--relative" in str(error) and np.max(points) <= 1
        return
    assert read(images)["b.png"] == [list(point) for point in points]


def test_columns_are_named_by_option(tmp_path: Path, images: Path) -> None:
    source = written(tmp_path / "p.csv", "foo,u,v,w\n1,2,3,b.png\n")
    columns = {"image": "w", "x": "V", "y": "u"}
    convert(source, images, columns=columns)
    with (images / "points.csv").open() as stream:
        assert list(csv.reader(stream)) == [["image", "x", "y"], ["b.png", "3", "2"]]
    with pytest.raises(ConfigError, match="convert: columns"):
        Settings(columns={"image_name": "w"})


def test_tables_of_yolo_are_read_by_the_numbers_of_their_columns(
    tmp_path: Path, images: Path
) -> None:
    written(tmp_path / "ann" / "b.txt", "0 0.5 0.4 0.1 0.08\n3 0.25 0.2 0.1 0.08\n")
    written(tmp_path / "ann" / "c.d.txt", "")  # an image without objects
    report = convert(tmp_path / "ann", images, columns={"x": "2", "y": "3"}, relative=True)
    assert read(images) == {"b.png": [[20, 12], [10, 6]], "c.d.jpg": [], "street/a 1.JPG": []}
    assert report.annotated == 2 and report.not_annotated == ["street/a 1.JPG"]


def test_dots_in_a_relative_folder_of_the_images_are_no_images(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_dots(images / "dots")
    monkeypatch.chdir(tmp_path)
    assert convert(source.relative_to(tmp_path), images).images == len(POINTS)
