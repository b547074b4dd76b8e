"""For a config's ``optim_wrapper``: bfloat16 on any device, and attention that learns faster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS
from torch import nn

from ean_transfer.attachment.parameters import ATTENTION_LR_FACTOR, attention_parameters


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


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class AttentionOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Gives attention a learning rate of its own, as :func:`~ean_transfer.parameter_groups` does.

    For new attention on a pretrained network::

        optim_wrapper.update(constructor=AttentionOptimWrapperConstructor)

    It takes mmengine's ``paramwise_cfg``, with one option more: ``attention_lr_mult``, which
    multiplies the learning rate of attention parameters, 10 by default. A network without attention
    is trained as ever.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        mult = {"attention_lr_mult": ATTENTION_LR_FACTOR}
        super().__init__(optim_wrapper_cfg, mult | dict(paramwise_cfg or {}))

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, prefix: str = "", **kwargs: Any
    ) -> None:
        """Append one group per trained parameter of a module and its children."""
        super().add_params(params, module, prefix, **kwargs)
        if prefix:
            return  # mmengine calls this for each child; the whole model comes last
        own = attention_parameters(module)
        for group in params:
            if group["params"][0] in own:
                rate = group.get("lr", self.base_lr)
                group["lr"] = rate * self.paramwise_cfg["attention_lr_mult"]
