"""Trained networks as files that run without this toolkit.

====================  =================================================================
:mod:`~.deployment`   the whole way: load a checkpoint, fold, write the file, check it
:mod:`~.networks`     each of the three tasks as one module, from pixels to answers
:mod:`~.files`        the file formats: write, run, and read what a file says of itself
:mod:`~.options`      what a graph may be asked to be: operators, size, precision
:mod:`~.preparation`  how a file says that images are resized first
:mod:`~.tickets`      the ticket that a checkpoint, an exported file or a work dir carries
:mod:`~.comparison`   how far a file's outputs are from the network's
====================  =================================================================
"""

import ean_transfer._mmseg  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.export.deployment import Deployment, require_ready
from ean_transfer.export.files import FORMATS, ExportError, exported_ticket, read_metadata
from ean_transfer.export.options import GraphOptions

__all__ = [
    "FORMATS",
    "Deployment",
    "ExportError",
    "GraphOptions",
    "exported_ticket",
    "read_metadata",
    "require_ready",
]
