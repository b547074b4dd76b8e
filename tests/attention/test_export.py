"""Every module exported once, for any image size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, export

from ean_transfer.attention import Attention


def test_one_exported_program_serves_all_image_sizes(trained: Attention) -> None:
    trained.eval()
    sizes = {0: Dim("batch", max=64), 2: Dim("height", max=4096), 3: Dim("width", max=4096)}
    x = torch.randn(3, 16, 9, 11)
    program = export(trained, (x,), dynamic_shapes={"x": sizes}).module()
    shapes = [(3, 16, 9, 11), (5, 16, 5, 7), (2, 16, 33, 32)]
    if torch.__version__ >= "2.9":  # earlier ones export max(HW - 1, 1) as HW - 1, here 0
        shapes.append((2, 16, 1, 1))
    for shape in shapes:
        x = torch.randn(shape)
        torch.testing.assert_close(program(x)[0], trained(x)[0])


def test_a_trace_is_the_same_with_gradients_and_without(trained: Attention) -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = trained.eval()

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x)[0]

    traced = torch.jit.trace(Branch(), torch.randn(3, 16, 9, 11))  # checks itself by a second one
    x = torch.randn(2, 16, 6, 5)
    torch.testing.assert_close(traced(x), trained(x)[0])
