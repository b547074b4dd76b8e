"""What NumPy's and mmengine's names in a checkpoint stand for when it is read.

mmengine keeps the history of its log in objects that hold NumPy's arrays. Unpickled in their own
ways, both trust the file: a crafted data type lets NumPy take bytes for addresses of objects, and a
crafted history replaces mmengine's functions for the rest of the process. So their names stand for
the functions and classes below, which take nothing but numbers and text from the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer

_PLAIN = "?biufcSUMm"  # NumPy's kinds of data types without objects and without parts


class _DataType:
    """Stands for ``numpy.dtype``.

    Args:
        code: Kind and size, such as ``"f8"``.
        *_: What NumPy also writes and does not matter here.
    """

    def __init__(self, code: str, *_: object) -> None:
        self.value = np.dtype(str(code))
        if self.value.kind not in _PLAIN:
            raise ValueError(f"NumPy's data type {self.value} is not plain")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, byte_order, *_ = state
        if self.value.kind in "mM":  # the unit of times comes last
            unit, step, *_ = state[-1][1]
            self.value = np.dtype(f"{self.value.str[:3]}[{int(step)}{unit.decode()}]")
        self.value = self.value.newbyteorder(byte_order)


class _Array(np.ndarray):
    """Stands for ``numpy.ndarray``, and is pickled as one."""

    def __new__(cls, *_: object) -> _Array:
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, data_type, is_fortran, data = state
        values: Any = np.ndarray(
            shape, data_type.value, buffer=data, order="F" if is_fortran else "C"
        )
        super().__setstate__(values.__reduce__()[2])

    def __reduce__(self) -> Any:
        return np.asarray(self).__reduce__()


def _empty_array(*_: object) -> _Array:
    return _Array()


def _scalar(data_type: _DataType, data: bytes) -> Any:
    return np.ndarray((), data_type.value, buffer=data)[()]


def _no_bytes() -> bytes:
    return b""


class _History(HistoryBuffer):
    """Stands for ``HistoryBuffer``, and is one as soon as it has its values."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(max_length=int(state["max_length"]))  # type: ignore[misc]
        self._log_history = np.asarray(state["_log_history"])
        self._count_history = np.asarray(state["_count_history"])
        self.__class__ = HistoryBuffer  # type: ignore[assignment]


def _get_statistics_method(holder: object, name: object) -> None:
    """Stands for ``getattr``, by which a history names its functions: they are not read."""
    if holder is not _History:
        raise UnpicklingError("GLOBAL builtins.getattr")


STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_History, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_get_statistics_method, "builtins.getattr"),
    (_DataType, "numpy.dtype"),
    (_Array, "numpy.ndarray"),
    (_no_bytes, "builtins.bytes"),  # how an empty array's data are pickled
    *(
        (stand_in, f"numpy.{core}.multiarray.{name}")
        for stand_in, name in ((_empty_array, "_reconstruct"), (_scalar, "scalar"))
        for core in ("core", "_core")  # NumPy 1 and NumPy 2
    ),
]
"""Stand-ins and the names that they stand for, as ``torch.serialization.safe_globals`` takes it."""
