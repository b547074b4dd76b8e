"""Checkpoints that an ``init_cfg`` names: read safely, fitted to the network, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import PretrainedInit
from mmengine.model.weight_init import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from ean_transfer.attachment.fitting import first_of, fitted
from ean_transfer.io.checkpoint import read_checkpoint


@WEIGHT_INITIALIZERS.register_module(name="Pretrained", force=True)
class FittedPretrained(PretrainedInit):
    """Takes the place of mmengine's ``Pretrained``, which loads what fits and leaves out the rest.

    Args:
        checkpoint: A file, an address or a published name, see
            :func:`~ean_transfer.io.sources.weights_file`.
        prefix: Prefix of the module's part in the checkpoint; found by itself if it is
            ``backbone.``.
        map_location: Device of the tensors.
    """

    def __call__(self, module: nn.Module) -> None:
        """Load the checkpoint into a module.

        Raises:
            TicketError: The checkpoint was trained with another ticket.
            CheckpointError: The checkpoint cannot be read, or does not fit.
        """
        parts = ("", "backbone.") if self.prefix is None else (f"{self.prefix.rstrip('.')}.",)
        checkpoint = read_checkpoint(self.checkpoint, self.map_location)
        fit = fitted(checkpoint, module, str(self.checkpoint), parts=parts)
        module.load_state_dict(fit.weights, strict=False)
        missing = [name for name in module.state_dict() if name not in fit.weights]
        lacking = [f"missing: {first_of(missing)}"] if missing else []
        text = "; ".join((f"loaded {self.checkpoint}", *fit.changes, *lacking))
        print_log(text, logger="current")
        if hasattr(module, "_params_init_info"):
            update_init_info(module, init_info=self._get_init_info())


def pretrained_cfgs(init_cfg: dict[str, Any] | Sequence[dict[str, Any]] | None) -> list[dict]:
    """The parts of an ``init_cfg`` that load a checkpoint, made to name the class above."""
    cfgs = [init_cfg or {}] if isinstance(init_cfg, (dict, type(None))) else init_cfg
    chosen = [cfg for cfg in cfgs if cfg.get("type") in ("Pretrained", PretrainedInit)]
    for cfg in chosen:
        cfg["type"] = "Pretrained"
    return chosen
