"""The training's loss on the validation images."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.attachment.network import unwrapped
from ean_transfer.errors import ConfigError


@HOOKS.register_module()
class ValidationLossHook(Hook):
    """Adds ``loss`` to a validation's metrics: the model's own losses, added up, mean over images.

    It is comparable with the training's loss, with its weights and auxiliary heads, and takes one
    more forward pass of each batch. The validation's pipeline must give what the loss needs.

    Raises:
        ConfigError: The losses cannot be computed from what the validation's pipeline gives.
    """

    priority = "HIGH"  # before the hooks that log, save the best and stop

    def __init__(self) -> None:
        self._total = torch.zeros(2, dtype=torch.float64)  # loss x images, images

    def before_val_epoch(self, runner: Runner) -> None:
        self._total.zero_()

    @torch.no_grad()
    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        model = unwrapped(runner.model)
        data: Any = model.data_preprocessor(data_batch, False)
        images = len(data["data_samples"])
        try:
            losses = model(**data, mode="loss")
        except (AttributeError, KeyError, RuntimeError, TypeError) as error:
            raise ConfigError(
                "--val-loss: expected a validation pipeline that gives what the training's loss "
                f"needs, found that it fails ({str(error).splitlines()[0]}): let it load and pack "
                "the same targets as the training's"
            ) from error
        loss, _ = model.parse_losses(losses)
        self._total += torch.tensor([float(loss) * images, images], dtype=torch.float64)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        all_reduce(self._total)
        total, images = self._total.tolist()
        if metrics is not None and images:
            metrics["loss"] = total / images
            runner.message_hub.update_scalar("val/loss", total / images)
