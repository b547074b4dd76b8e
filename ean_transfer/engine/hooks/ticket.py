"""Tickets in checkpoints: written with each, compared when one is loaded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.attachment.network import find_ticket, unwrapped
from ean_transfer.engine.weights import require_all, require_model_ticket, require_shapes
from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import weights_of
from ean_transfer.ticket.checkpoint import ticket_of


@HOOKS.register_module()
class TicketHook(Hook):
    """Writes the backbone's ticket into every checkpoint, and compares it when one is loaded.

    A network whose backbone takes no tickets is trained and loaded like any other.

    It also leaves out the log's smoothing windows and NumPy's number types, so that a checkpoint of
    ours holds nothing but tensors, numbers and strings.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        ticket = find_ticket(runner.model)
        if ticket is not None:
            checkpoint["meta"]["ticket"] = ticket.model_dump(mode="json")
        hub = checkpoint["message_hub"]
        hub["log_scalars"] = OrderedDict()
        hub["runtime_info"] = OrderedDict(
            (key, value.item() if isinstance(value, np.generic) else value)
            for key, value in hub["runtime_info"].items()
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if ticket_of(checkpoint) is None and find_ticket(runner.model) is not None:
            runner.logger.warning("the checkpoint carries no ticket: cannot compare")
        require_model_ticket(checkpoint, runner.model, "the checkpoint")
        own = unwrapped(runner.model).state_dict()
        weights = weights_of(checkpoint)
        if not set(weights) & set(own):
            raise CheckpointError("the checkpoint: none of its tensors belongs to the model")
        require_shapes(weights, own, "the checkpoint")
        # A training may start from a part (load_from); what is tested or resumed is the whole.
        training = isinstance(runner._train_loop, BaseLoop)  # a config until it is built
        whole = runner._resume or not training
        if whole:
            require_all(weights, own, "the checkpoint")
