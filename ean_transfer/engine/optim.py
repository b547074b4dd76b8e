"""Mixed precision without an accelerator, where mmengine's AmpOptimWrapper refuses to work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Trains in bfloat16 where that is safe (:func:`torch.autocast`), on any device.

    bfloat16 has float32's range, so no loss scaling is needed, and trainings behave alike on all
    devices. Weights, their gradients and the optimiser's state stay float32, and validation runs in
    float32. CPUs with bfloat16 instructions (AVX-512 BF16, AMX) convolve about twice as fast;
    others are slower.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Yield with autocasting on, around a training step's forward pass."""
        with super().optim_context(model), torch.autocast(get_device(), dtype=torch.bfloat16):
            yield
