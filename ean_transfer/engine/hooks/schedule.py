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

    mmengine goes on with the learning rate and the schedule in the checkpoint. Where the config's
    are others, its schedule is replayed up to the iteration reached. And where the learning rate
    has vanished long before the training ends, a line says so before the first iteration.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._changed = False
        self._rates: list[float] = []  # the config's highest, of each parameter group

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if not (runner._resume and isinstance(runner._train_loop, BaseLoop)):
            return
        wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers or []
        if not isinstance(wrapper, OptimWrapperDict):
            if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
                runner.logger.warning(
                    "the learning rate goes on as in the checkpoint, whatever the config says: a "
                    "schedule that follows validations cannot be replayed"
                )
                return
            self._rates = [_highest(group) for group in wrapper.param_groups]
            before = checkpoint.get("optimizer", {}).get("param_groups", [])
            plans = [_plan(scheduler.state_dict()) for scheduler in schedulers]
            self._changed = (
                self._rates != [_highest(group) for group in before]
                or [*map(_plan, checkpoint.get("param_schedulers") or [])] != plans
            )
            if self._changed:
                checkpoint.pop("param_schedulers", None)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Leave out functions: a checkpoint is data, and a new schedule has its own."""
        saved = checkpoint.get("param_schedulers") or []
        for states in saved.values() if isinstance(saved, dict) else [saved]:
            states[:] = map(_data, states)

    def before_train(self, runner: Runner) -> None:
        # With other batches, an epoch's end is at another iteration than the checkpoint's steps.
        schedulers = runner.param_schedulers if self._rates else None
        counts = {s._global_step for s in schedulers or () if not s.by_epoch}
        if self._changed or counts - {runner.iter}:
            self._replay(runner)
        if runner.param_schedulers and not isinstance(runner.optim_wrapper, OptimWrapperDict):
            self._warn_of_an_early_end(runner)

    def _replay(self, runner: Runner) -> None:
        before = _rate(runner.optim_wrapper)
        for group, rate in zip(runner.optim_wrapper.param_groups, self._rates, strict=True):
            group["initial_lr" if "initial_lr" in group else "lr"] = rate
            for name in [name for name in group if name.startswith("initial_")]:
                group[name.removeprefix("initial_")] = group[name]
        if runner.param_schedulers:
            runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
        _step(runner, runner.param_schedulers or [], runner.iter, runner.epoch)
        runner.logger.warning(
            "the learning rate and its schedule are the config's, not the checkpoint's: at "
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
    return {name: value for name, value in _data(state).items() if name not in _PROGRESS}


def _data(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not callable(value)}


def _highest(group: dict[str, Any]) -> float:
    return float(group.get("initial_lr", group["lr"]))


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
