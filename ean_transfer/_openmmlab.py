"""Imports mmpretrain without what it says about missing optional parts.

It prints and warns at import that a plug-in and compiled operators are not installed, and nothing
here needs those. Import this module before mmpretrain, and :mod:`ean_transfer._mmseg` before mmseg.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Imports in this context neither print nor warn."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


with quiet_imports():
    import mmpretrain.datasets
    import mmpretrain.models  # noqa: F401
