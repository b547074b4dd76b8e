"""MATLAB files: points are read wherever people put them, or the lines that put them there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from ean_transfer.crowd_counting.datasets import QNRFDataset, ShanghaiTechDataset
from ean_transfer.crowd_counting.datasets.matlab import read_matlab_points
from ean_transfer.errors import DataError
from tests.crowd_counting.folders import write_image

POINTS = np.array([(3.5, 4), (63, 47), (0, 1)])
MATLAB_73 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
"""The first bytes of such a file, from which scipy knows it."""


def in_cells(value: Any, times: int) -> np.ndarray:
    for _ in range(times):
        cell = np.empty((1, 1), dtype=object)
        cell[0, 0] = value
        value = cell
    return value


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], np.zeros((0, 2))], ids=["3", "1", "0"])
@pytest.mark.parametrize(
    "variables",
    [
        lambda points: {"annPoints": points},
        lambda points: {"annPoints": in_cells(points, 1)},
        lambda points: {"image_info": {"location": points, "number": len(points)}},
        lambda points: {"image_info": in_cells({"location": points}, 1)},
        lambda points: {"image_info": {"location": in_cells(points, 2)}},
        lambda points: {"other": 1, "annPoints": points},
    ],
    ids=["annPoints", "cell", "flat struct", "struct in a cell", "cells in a struct", "two"],
)
def test_points_are_read_through_structs_and_cells(
    tmp_path: Path, points: np.ndarray, variables: Callable[[np.ndarray], dict[str, Any]]
) -> None:
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, variables(points))
    assert read_matlab_points(file).reshape(-1, 2).tolist() == points.tolist()


@pytest.mark.parametrize("name", ["GT_street 07.mat", "street 07.mat"])
def test_own_images_of_any_name_and_kind_can_lie_in_either_format(
    tmp_path: Path, name: str
) -> None:
    write_image(tmp_path / "part_A/train_data/images/street 07.PNG")
    (tmp_path / "part_A/train_data/ground_truth").mkdir()
    scipy.io.savemat(tmp_path / "part_A/train_data/ground_truth" / name, {"annPoints": POINTS})
    write_image(tmp_path / "Train/street 07.png")
    scipy.io.savemat(tmp_path / "Train/street 07_ann.mat", {"image_info": {"location": POINTS}})
    for dataset in (ShanghaiTechDataset(tmp_path, "A"), QNRFDataset(tmp_path)):
        assert dataset.get_data_info(0)["points"].tolist() == POINTS.tolist()


@pytest.mark.parametrize(
    "variables", [{"points": POINTS}, {"image_info": {"points": POINTS}, "points": POINTS}]
)
def test_points_elsewhere_are_refused_with_lines_that_put_them_right(
    tmp_path: Path, variables: dict[str, Any]
) -> None:
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, variables)
    with pytest.raises(DataError, match=r"a\.mat: .* found .*points \(3, 2\); ") as refused:
        read_matlab_points(file)
    lines = str(refused.value).partition("looked for: ")[2].partition("; see")[0]
    exec(lines.replace("FILE", repr(str(file))).replace("VARIABLE", "points"), {})
    assert read_matlab_points(file).tolist() == POINTS.tolist()


def test_version_73_without_h5py_says_what_to_install_or_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mat").write_bytes(MATLAB_73.ljust(1024, b"\0"))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"a\.mat: .*7\.3, .* pip install h5py; .*-v7'"):
        read_matlab_points(tmp_path / "a.mat")


@pytest.mark.parametrize("points", [POINTS, POINTS[:2], POINTS[:0]], ids=["3", "2", "0"])
@pytest.mark.parametrize("place", ["annPoints", "location", "cell"])
def test_version_73_is_read_by_h5py(tmp_path: Path, points: np.ndarray, place: str) -> None:
    file = tmp_path / "a.mat"
    with h5py.File(file, "w", userblock_size=512) as content:
        if place == "annPoints":
            written = content
        else:
            written = content.create_group("image_info" if place == "location" else "#refs#/a")
        name = "annPoints" if place == "annPoints" else "location"
        if len(points):
            written[name] = points.T  # MATLAB's order
        else:
            written[name] = np.array([0, 2], dtype=np.uint64)
            written[name].attrs["MATLAB_empty"] = 1
        if place == "cell":
            content["image_info"] = np.array([[written.ref]], dtype=h5py.ref_dtype)
    with file.open("r+b") as stream:
        stream.write(MATLAB_73)
    assert read_matlab_points(file).reshape(-1, 2).tolist() == points.tolist()


def test_a_broken_file_of_version_73_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(MATLAB_73.ljust(1024, b"\0"))
    with pytest.raises(DataError, match=r"a\.mat: .*cannot read it .*fetch"):
        read_matlab_points(tmp_path / "a.mat")
