"""Training with a backbone that torch.compile has compiled."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.attachment.network import backbone_of


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles the backbone for the training; validations run it as it is written.

    Compiled code is made for one mask and one size of batches and images, and made again for
    others: it pays where these stay the same, and not for a supernet. mmengine's own ``compile``
    takes the optimiser's step as well, and makes that again for each new learning rate.

    Args:
        **options: Of ``torch.compile``, such as ``mode`` and ``backend``.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options

    def before_train(self, runner: Runner) -> None:
        backbone_of(runner.model).compile(**self._options)

    def before_val(self, runner: Runner) -> None:
        torch.compiler.set_stance("force_eager")

    def after_val(self, runner: Runner) -> None:
        torch.compiler.set_stance("default")
