"""Writers of tiny annotation files of other tools, all of the same three images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

SIZE = (30, 40)  # (H, W)
Points = Sequence[tuple[float, float]]
POINTS: Mapping[str, Points] = {
    "street/a 1.JPG": [(3, 4), (20.5, 11.25)],
    "b.png": [],
    "c.d.jpg": [(39, 29)],
}
"""Image -> its points."""
SQUARE = (5, 10, 15, 20)
"""An area in every image: left, top, right, bottom."""


def write_images(root: Path, size: tuple[int, int] = SIZE) -> Path:
    for name in POINTS:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)
    return root


def dump(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def stem(name: str) -> str:
    return name.rpartition(".")[0]


def write_coco(path: Path, points: bool, categories: Sequence[str] = ("person",)) -> Path:
    """Keypoints, or the square as polygon."""
    left, top, right, bottom = SQUARE
    images, annotations = [], []
    for number, (name, marks) in enumerate(POINTS.items(), 7):
        images.append(dict(id=number, file_name=f"/x/{name}", height=SIZE[0], width=SIZE[1]))
        if points:
            annotations += [
                dict(image_id=number, category_id=1, keypoints=[x, y, 2]) for x, y in marks
            ]
        else:
            ring = [left, top, right, top, right, bottom, left, bottom]
            bbox = [left, top, right - left, bottom - top]
            annotations.append(dict(image_id=number, category_id=1, segmentation=[ring], bbox=bbox))
    named = [dict(id=number, name=name) for number, name in enumerate(categories, 1)]
    return dump(path, dict(images=images, annotations=annotations, categories=named))


def write_labelme(root: Path, points: bool) -> Path:
    left, top, right, bottom = SQUARE
    for name, marks in POINTS.items():
        shapes = [dict(label="person", points=[mark], shape_type="point") for mark in marks]
        if not points:
            corners = [(left, top), (right, bottom)]
            shapes = [dict(label="person", points=corners, shape_type="rectangle", group_id=None)]
        content = dict(shapes=shapes, imagePath=f"..\\{Path(name).name}", imageData="x" * 99)
        content |= dict(imageHeight=SIZE[0], imageWidth=SIZE[1])
        dump(root / f"{stem(name)}.json", content)
    return root


def write_cvat(path: Path, points: bool) -> Path:
    left, top, right, bottom = SQUARE
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations><version>1.1</version>"]
    for number, (name, marks) in enumerate(POINTS.items()):
        lines.append(f'<image id="{number}" name="{name}" width="{SIZE[1]}" height="{SIZE[0]}">')
        if points and marks:
            text = ";".join(f"{x},{y}" for x, y in marks)
            lines.append(f'<points label="person" points="{text}" z_order="0"></points>')
        if not points:
            rle = f"0,{(right - left) * (bottom - top)}"
            box = f'left="{left}" top="{top}" width="{right - left}" height="{bottom - top}"'
            lines.append(f'<mask label="person" rle="{rle}" {box} z_order="0"/>')
        lines.append("</image>")
    path.write_text("\n".join([*lines, "</annotations>"]))
    return path


def write_cvat_video(path: Path, points: bool) -> Path:
    """Tracks of the images as frames, each with a box that leaves the video at the next frame."""
    lines = ["<annotations><version>1.1</version><meta><task><original_size>"]
    lines.append(
        f"<width>{SIZE[1]}</width><height>{SIZE[0]}</height></original_size></task></meta>"
    )
    for number, marks in enumerate(POINTS.values()):
        for x, y in marks:
            lines.append('<track id="0" label="person">')
            for frame, outside in ((number, 0), (number + 1, 1)):
                corners = f'xtl="{x - 2}" ytl="{y - 1}" xbr="{x + 2}" ybr="{y + 1}"'
                lines.append(f'<box frame="{frame}" outside="{outside}" {corners}></box>')
            lines.append("</track>")
    path.write_text("\n".join([*lines, "</annotations>"]))
    return path


def write_voc(root: Path) -> Path:
    """Boxes around the points; the files name the images as on another machine."""
    for name, marks in POINTS.items():
        objects = "".join(
            f"<object><name>person</name><bndbox><ymin>{y - 1}</ymin><xmin>{x - 2}</xmin>"
            f"<xmax>{x + 2}</xmax><ymax>{y + 1}</ymax></bndbox></object>"
            for x, y in marks
        )
        size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height></size>"
        path = root / f"{stem(name)}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<annotation><filename>1.jpg</filename>{size}{objects}</annotation>")
    return root


def write_via3(path: Path, points: bool) -> Path:
    left, top, right, bottom = SQUARE
    files, views, metadata = {}, {}, {}
    for number, (name, marks) in enumerate(POINTS.items(), 1):
        files[str(number)] = dict(fid=str(number), fname=Path(name).name, type=2, loc=1, src="")
        views[str(number)] = dict(fid_list=[str(number)])
        shapes = (
            [[1, x, y] for x, y in marks]
            if points
            else [[2, left, top, right - left, bottom - top]]
        )
        metadata[f"{number}_file"] = dict(vid=str(number), flg=0, z=[], xy=[], av={"2": "rainy"})
        for place, xy in enumerate(shapes):
            entry = dict(vid=str(number), flg=0, z=[], xy=xy, av={"1": "7"})
            metadata[f"{number}_{place}"] = entry
    attribute = {
        "1": dict(aname="kind", anchor_id="FILE1_Z0_XY1", type=4, options={"7": "person"}),
        "2": dict(aname="weather", anchor_id="FILE1_Z0_XY0", type=1, options={}),
    }
    project = dict(pname="mine", vid_list=[*views])
    content = dict(project=project, config={}, attribute=attribute, file=files)
    return dump(path, content | dict(metadata=metadata, view=views))


def via_shapes(marks: Points, points: bool) -> list[dict[str, Any]]:
    left, top, right, bottom = SQUARE
    if points:
        return [dict(name="point", cx=x, cy=y) for x, y in marks]
    xs, ys = [left, right, right, left], [top, top, bottom, bottom]
    return [dict(name="polygon", all_points_x=xs, all_points_y=ys)]


def write_via(path: Path, points: bool) -> Path:
    content = {}
    for name, marks in POINTS.items():
        regions = [
            dict(shape_attributes=shape, region_attributes=dict(kind="person"))
            for shape in via_shapes(marks, points)
        ]
        content[f"{name}99"] = dict(filename=Path(name).name, size=99, regions=regions)
    return dump(path, {"_via_settings": {}, "_via_img_metadata": content})


def write_via_csv(path: Path, points: bool) -> Path:
    lines = [
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
        "region_attributes"
    ]
    for name, marks in POINTS.items():
        for shape in via_shapes(marks, points) or [{}]:
            text = json.dumps(shape).replace('"', '""')
            label = json.dumps(dict(kind="person") if shape else {}).replace('"', '""')
            lines.append(f'"{Path(name).name}",99,"{{}}",1,0,"{text}","{label}"')
    path.write_text("\n".join(lines))
    return path


def write_dots(root: Path, colour: tuple[int, int, int] = (255, 255, 255)) -> Path:
    """Dot images, whose points are whole numbers."""
    for name, marks in POINTS.items():
        dots = np.zeros((*SIZE, 3), np.uint8)
        for x, y in marks:
            dots[int(y), int(x)] = colour
        path = root / f"{stem(name)}_dots.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), dots)
    return root
