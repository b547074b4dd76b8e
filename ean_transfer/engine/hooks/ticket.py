"""Tickets in checkpoints: written into each, and compared when one is loaded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.attachment.batchnorm import take_foldings
from ean_transfer.attachment.fitting import fitted
from ean_transfer.attachment.network import find_ticket, unwrapped
from ean_transfer.ticket.files import ticket_of


@HOOKS.register_module()
class TicketHook(Hook):
    """Writes the backbone's ticket into every checkpoint, and compares it when one is loaded.

    A network whose backbone takes no tickets is trained and loaded like any other.

    The hook also leaves out the log's smoothing windows and NumPy's number types, so that our
    checkpoints hold nothing but tensors, numbers and strings.
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
        # A training may start from a part of a network (load_from); what is tested or resumed is a
        # whole one. mmengine keeps the loop's config in its place until the loop is built.
        training = isinstance(runner._train_loop, BaseLoop)
        if not training:
            take_foldings(unwrapped(runner.model), checkpoint, "the checkpoint")
        fit = fitted(
            checkpoint,
            unwrapped(runner.model),
            "the checkpoint",
            whole=runner._resume or not training,
        )
        if fit.changes:
            runner.logger.info(f"the checkpoint: {'; '.join(fit.changes)}")
            checkpoint["state_dict"] = fit.weights
