"""Shapes that were turned are read turned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ean_transfer.data.conversion.objects import Marked
from ean_transfer.data.conversion.reading import SHARED
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings

ELLIPSE = dict(cx=20, cy=15, rx=9, ry=2)


def cvat(root: Path, tag: str, degrees: int, **numbers: float) -> Marked:
    values = " ".join(f'{key}="{value}"' for key, value in numbers.items())
    shape = f'<{tag} label="a" {values} rotation="{degrees}"/>'
    image = f'<image id="0" name="b.png" width="40" height="30">{shape}</image>'
    (root / "p.xml").write_text(f"<annotations>{image}</annotations>")
    return only_object("cvat", root / "p.xml")


def via(root: Path, degrees: int, **numbers: float) -> Marked:
    shape = dict(name="ellipse", theta=np.radians(degrees), **numbers)
    content = {"b.png9": dict(filename="b.png", regions=[dict(shape_attributes=shape)])}
    return only_object("via", root / "p.json", json.loads(json.dumps(content)))


def only_object(kind: str, file: Path, content: Any = None) -> Marked:
    (image,) = SHARED[kind](file, content, Settings(), LeftOut())
    (marked,) = image.objects
    return marked


@pytest.mark.parametrize("shape", ["ellipse of VIA", "ellipse of CVAT", "box of CVAT"])
def test_a_shape_is_turned_clockwise_around_its_centre(tmp_path: Path, shape: str) -> None:
    if shape == "ellipse of VIA":
        marked = via(tmp_path, 30, **ELLIPSE)
    elif shape == "ellipse of CVAT":
        marked = cvat(tmp_path, "ellipse", 30, **ELLIPSE)
    else:
        marked = cvat(tmp_path, "box", 30, xtl=11, ytl=13, xbr=29, ybr=17)
    labels = np.zeros((30, 40), np.uint8)
    assert marked.area is not None
    marked.area.paint(labels, 1)
    assert marked.at == pytest.approx((20, 15))
    assert labels[18, 25] and labels[11, 14]  # the right end is low, the left one high
    assert not labels[15, 27] and not labels[11, 25]
