"""How far the outputs of an exported file are from the network's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

TOLERANCE = 1e-4
"""Largest difference, as :func:`differences` measures it, of a file that is kept."""

Outputs = Mapping[str, Tensor]


@torch.no_grad()
def worst_differences(
    found: Callable[[Tensor], Outputs],
    expected: Callable[[Tensor], Outputs],
    shapes: Iterable[tuple[int, int, int]],
) -> dict[str, float]:
    """The largest :func:`differences` of each output over batches of random pixels, seed 0.

    Args:
        found: From images (N, 3, H, W) uint8, RGB, to the outputs in question.
        expected: Likewise, to the true ones.
        shapes: N, H and W of each batch.
    """
    generator = torch.Generator().manual_seed(0)
    worst: dict[str, Tensor] = {}
    for batch, height, width in shapes:
        pixels = torch.randint(0, 256, (batch, 3, height, width), generator=generator)
        images = pixels.to(torch.uint8)
        for name, value in differences(found(images), expected(images)).items():
            worst[name] = torch.stack([worst.get(name, value), value]).amax()  # a NaN stays
    return {name: float(value) for name, value in worst.items()}


def differences(found: Outputs, expected: Outputs) -> dict[str, Tensor]:
    """How far outputs are from what is expected, by name, at worst.

    Of numbers x where y is expected it is ``|x - y| / max(1, |y|)``. Of labels it is how far the
    expected logit of the label found lies below the largest one, b, of its pixel, divided by
    ``max(1, |b|)``: 0 for the expected label, and small only where two classes are so nearly equal
    that rounding may exchange them. Another shape is infinitely far.
    """
    result = {}
    for name, wanted in expected.items():
        value = found[name]
        if value.shape != wanted.shape:
            result[name] = torch.tensor(torch.inf)
        elif wanted.is_floating_point():
            result[name] = _relative(value - wanted, wanted)
        else:
            logits = expected["logits"]
            best = logits.amax(dim=1)
            result[name] = _relative(best - logits.gather(1, value[:, None]).squeeze(1), best)
    return result


def _relative(difference: Tensor, to: Tensor) -> Tensor:
    return (difference.abs() / to.abs().clamp(min=1)).amax()
