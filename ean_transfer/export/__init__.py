"""Trained networks as files that run without this toolkit.

===================  =============================================================
:mod:`~.networks`    from pixels to answers: each of the three tasks as one module
:mod:`~.dataset`     what the training's data set says of pixels and classes
:mod:`~.files`       the formats: written, read back as data, and run
:mod:`~.checking`    how far a file's outputs are from the network's
:mod:`~.deployment`  load, fold, write, check
===================  =============================================================
"""

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.export.deployment import Deployment, require_ready
from ean_transfer.export.files import FORMATS, ExportError, exported_ticket, read_metadata

__all__ = [
    "FORMATS",
    "Deployment",
    "ExportError",
    "exported_ticket",
    "read_metadata",
    "require_ready",
]
