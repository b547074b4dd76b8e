"""How far the outputs of an exported file are from the network's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

TOLERANCE = 1e-4
"""Largest difference, as :func:`differences` measures it, of a file that is kept."""
TOLERANCE_HALF = 1e-2
"""The same of a file of half precision, whose numbers have three digits."""

Outputs = Mapping[str, Tensor]


@torch.no_grad()
def worst_differences(
    exported: Callable[[Tensor], Outputs],
    expected: Callable[[Tensor], Outputs],
    shapes: Iterable[tuple[int, int, int]],
) -> dict[str, float]:
    """The largest :func:`differences` of each output over batches of random pixels, seed 0.

    Args:
        exported: Function from images (N, 3, H, W) uint8, RGB, to the outputs to judge.
        expected: Function from the same images to the true outputs.
        shapes: N, H and W of each batch.
    """
    generator = torch.Generator().manual_seed(0)
    worst: dict[str, Tensor] = {}
    for batch, height, width in shapes:
        pixels = torch.randint(0, 256, (batch, 3, height, width), generator=generator)
        images = pixels.to(torch.uint8)
        for name, value in differences(exported(images), expected(images)).items():
            # amax and not max(): a NaN must stay, and compares as False with everything.
            worst[name] = torch.stack([worst.get(name, value), value]).amax()
    return {name: float(value) for name, value in worst.items()}


def differences(outputs: Outputs, expected: Outputs) -> dict[str, Tensor]:
    """The largest difference of each output from what is expected, by name.

    For numbers it is ``|x - y| / max(1, |y|)``, where y is expected: absolute for small values,
    relative for large ones. For labels it is ``(b - c) / max(1, |b|)``, where b is the largest of
    the pixel's expected logits and c the expected logit of the label in question: 0 for the
    expected label, and small only where two classes are so nearly equal that rounding may exchange
    them. An output of another shape is infinitely far.
    """
    result = {}
    for name, wanted in expected.items():
        value = outputs[name]
        if value.shape != wanted.shape:
            result[name] = torch.tensor(torch.inf)
        elif wanted.is_floating_point():
            result[name] = _relative(value - wanted, wanted)
        else:
            logits = expected["logits"]
            best = logits.amax(dim=1)
            chosen = logits.gather(1, value.long()[:, None]).squeeze(1)
            result[name] = _relative(best - chosen, best)
    return result


def _relative(difference: Tensor, to: Tensor) -> Tensor:
    return (difference.abs() / to.abs().clamp(min=1)).amax()
