"""What a graph in a file may be asked to be: its operators, its input's size, its precision."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from ean_transfer.io.checked import Checked, Positive

SMALLEST = 32
"""Side in pixels of the smallest images that a file is promised for, if the network takes them."""

Side = Annotated[int, Field(ge=SMALLEST)]


class GraphOptions(Checked):
    """Options of the formats that hold a graph, ``onnx`` and ``torch-export``.

    Args:
        opset: Version of ONNX's operators; by default the one that torch's exporter is written for.
        static: (N, H, W) of the only batch that the file takes, for runtimes that plan ahead; by
            default it takes batches and images of any size.
        half: Whether weights and computations have half precision. Input and outputs stay float32.
        labels: Type of a segmentor's labels.
    """

    what = "export"

    opset: Annotated[int, Field(ge=13)] | None = None
    static: tuple[Positive, Side, Side] | None = None
    half: bool = False
    labels: Literal["int64", "uint8"] = "int64"

    @property
    def dtype(self) -> torch.dtype:
        """Type of weights and computations."""
        return torch.float16 if self.half else torch.float32
