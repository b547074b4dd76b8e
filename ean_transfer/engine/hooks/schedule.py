"""The learning rate's schedule of a training that goes on for longer than was planned."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch import nn

# What a scheduler's state holds beside the schedule itself.
_PROGRESS = {"last_step", "_global_step", "_last_value", "base_values", "verbose"}


@HOOKS.register_module()
class ScheduleHook(Hook):
    """Lets a resumed training follow the schedule of its config, and says where that ends early.

    mmengine goes on with the schedule in the checkpoint, which ends where it ended. Where the
    config's is another one, it is replayed up to the iteration reached. And where the learning rate
    has vanished long before the training ends, a line says so before the first iteration.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._changed = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        saved, schedulers = checkpoint.get("param_schedulers"), runner.param_schedulers
        if not (runner._resume and isinstance(runner._train_loop, BaseLoop)):
            return
        if isinstance(saved, list) and isinstance(schedulers, list):
            if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
                return  # it follows the validations, which nobody can replay
            self._changed = [*map(_plan, saved)] != [_plan(s.state_dict()) for s in schedulers]
            if self._changed:
                del checkpoint["param_schedulers"]

    def before_train(self, runner: Runner) -> None:
        if isinstance(runner.optim_wrapper, OptimWrapperDict) or not runner.param_schedulers:
            return
        if self._changed:
            self._replay(runner)
        self._warn_of_an_early_end(runner)

    def _replay(self, runner: Runner) -> None:
        before = _rate(runner.optim_wrapper)
        for group in runner.optim_wrapper.param_groups:
            for name in [name for name in group if name.startswith("initial_")]:
                group[name.removeprefix("initial_")] = group[name]
        runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
        _step(runner, runner.param_schedulers, runner.iter, runner.epoch)
        runner.logger.warning(
            "the schedule of the learning rate is the config's, which is not the checkpoint's: at "
            f"iteration {runner.iter} it is {_rate(runner.optim_wrapper):.3g} instead of "
            f"{before:.3g}"
        )

    def _warn_of_an_early_end(self, runner: Runner) -> None:
        schedulers = runner.param_schedulers
        ends = [s.end / (runner.max_epochs if s.by_epoch else runner.max_iters) for s in schedulers]
        if max(ends) >= 1.0 or not runner.cfg.get("param_scheduler"):
            return
        first = runner.optim_wrapper.param_groups[0]
        highest = first.get("initial_lr", first["lr"])
        trial = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=highest))
        plan = copy.deepcopy(runner.cfg.param_scheduler)
        _step(
            runner,
            runner._build_param_scheduler(plan, trial),
            round(max(ends) * runner.max_iters),
            round(max(ends) * runner.max_epochs),
        )
        if (last := _rate(trial)) < 0.02 * highest:
            runner.logger.warning(
                f"the schedule of the learning rate ends at {max(ends):.0%} of the training, with "
                f"{last:.2g}: the rest trains at that. To go on at a higher rate, move the end "
                "(and T_max) of param_scheduler as well as that of train_cfg"
            )


def _plan(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in _PROGRESS}


def _rate(wrapper: OptimWrapper) -> float:
    return float(wrapper.param_groups[0]["lr"])


def _step(runner: Runner, schedulers: list[Any], iterations: int, epochs: int) -> None:
    """Take the steps of a training's first iterations and epochs, in the order of a training."""
    per_epoch = len(runner.train_dataloader)
    for iteration in range(1, iterations + 1):
        for scheduler in schedulers:
            if not scheduler.by_epoch:
                scheduler.step()
        if iteration % per_epoch == 0 and iteration // per_epoch <= epochs:
            for scheduler in schedulers:
                if scheduler.by_epoch:
                    scheduler.step()
