"""Imports mmseg without what it says, where segmentation is used: it takes a second."""

from ean_transfer._openmmlab import quiet_imports

with quiet_imports():
    import mmseg.datasets
    import mmseg.models  # noqa: F401
