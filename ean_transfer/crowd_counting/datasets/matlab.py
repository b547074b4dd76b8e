"""Points out of MATLAB files: those of the published data sets, and one's own.

A ``.mat`` of version 7.3 is an HDF5 file, which scipy does not read; it needs h5py.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from ean_transfer.errors import DataError

_PLACES = (("image_info", "location"), ("annPoints",))
"""Where points are: ShanghaiTech's struct, whether in a cell or not, and UCF-QNRF's variable."""


def read_matlab_points(path: Path) -> np.ndarray:
    """Read points, N x 2 (x, y), from ``image_info.location`` or ``annPoints`` of a MATLAB file.

    Cells and structs of one element around them make no difference, nor does the file's version.

    Raises:
        DataError: The file is no MATLAB file, has points in neither place, or is of version 7.3
            while h5py is not installed.
    """
    try:
        variables = _read(path)
    except ImportError:
        raise DataError(
            f"{path}: expected a MATLAB file of version 7 or older, found version 7.3, which needs "
            "h5py: pip install h5py; or save it in MATLAB again with '-v7'"
        ) from None
    except Exception as error:  # scipy and h5py raise many kinds of error for other files
        raise DataError(
            f"{path}: expected a MATLAB file with image_info.location or annPoints, cannot read it "
            f"({type(error).__name__}: {error}); fetch the file again"
        ) from error
    for place in _PLACES:
        with suppress(KeyError, IndexError, TypeError, ValueError):  # none there
            return _at(variables, place)
    shapes = {name: np.shape(value) for name, value in variables.items() if name[:2] != "__"}
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no variables"
    raise DataError(
        f"{path}: expected a MATLAB file with image_info.location or annPoints, N x 2 (x, y), "
        f"found {listed}; write the points of VARIABLE where they are looked for: "
        'from scipy.io import loadmat, savemat; savemat(FILE, {"annPoints": '
        'loadmat(FILE)["VARIABLE"]}); see docs/counting.md'
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return scipy.io.loadmat(path)
    except NotImplementedError:  # version 7.3
        with import_module("h5py").File(path) as file:
            names = [name for name in file if not name.startswith("#")]  # its own bookkeeping
            return {name: _from_hdf5(file, file[name]) for name in names}


def _from_hdf5(file: Any, item: Any) -> Any:
    """A value as :func:`scipy.io.loadmat` would give it, structs as mappings."""
    if isinstance(item, Mapping):
        return {name: _from_hdf5(file, item[name]) for name in item}
    if "MATLAB_empty" in item.attrs:  # the data are then its size
        return np.zeros((0, 0))
    value = item[()].T  # MATLAB's order of axes
    if value.dtype != object:
        return value
    cells = np.empty(value.shape, dtype=object)
    for index, reference in np.ndenumerate(value):
        cells[index] = _from_hdf5(file, file[reference])
    return cells


def _at(variables: Any, place: tuple[str, ...]) -> np.ndarray:
    """The array at names within structs, which may each be in cells of one element."""
    value = variables
    for name in place:
        value = _out_of_cells(value[name])
    return np.asarray(value)


def _out_of_cells(value: Any) -> Any:
    while isinstance(value, np.ndarray) and value.dtype.hasobject and value.size == 1:
        value = value.item() if value.dtype == object else value.reshape(-1)[0]
        if isinstance(value, np.void):  # a struct
            return {name: value[name] for name in value.dtype.names or ()}
    return value
