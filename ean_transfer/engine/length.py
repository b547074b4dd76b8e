"""A training's length and learning rate, changed with the schedule that depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Literal

from mmengine.config import Config

from ean_transfer.engine.pipelines import kind_of
from ean_transfer.errors import ConfigError

_FOREVER = 10**9  # mmengine's end of a scheduler without one
_BEGINS = {"FreezeNormHook": ("begin",), "EMAHook": ("begin_iter", "begin_epoch")}
"""Hook -> its arguments that say from when in the training on it acts."""


def set_length(cfg: Config, number: int, unit: Literal["epochs", "iters"]) -> None:
    """Train for another number of epochs or iterations, with the same schedule, scaled.

    Ends, milestones and warm-up of the learning rate keep their shares of the training, in whole
    epochs or iterations. So do the begins and ends of hooks that act in a part of it:
    ``FreezeNormHook``, ``FreezeBackboneHook`` and ``EMAHook``. A shorter training validates and
    saves as often as the longer one, a longer one at the same intervals; where only the end is
    validated, that stays so.

    Args:
        cfg: The config, which is changed.
        number: Epochs or iterations of the training, at least 1.
        unit: What the config's training counts.

    Raises:
        ConfigError: The config has no training, or one that counts the other unit.
    """
    loop = cfg.get("train_cfg") or {}
    own = next((name for name in ("epochs", "iters") if f"max_{name}" in loop), None)
    if own != unit:
        has = f"train_cfg.max_{own}={loop[f'max_{own}']}: use --{own}" if own else "no train_cfg"
        raise ConfigError(
            f"--{unit} {number}: expected a training in {unit}, {cfg.filename} has {has}"
        )
    before = loop[f"max_{unit}"]
    loop[f"max_{unit}"] = number
    ratio = Fraction(number, before)
    if "val_begin" in loop:
        loop["val_begin"] = max(1, round(loop["val_begin"] * ratio))
    _scale_interval(loop, "val_interval", before, number)
    saving = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    if saving.get("by_epoch", True) == (unit == "epochs"):
        _scale_interval(saving, "interval", before, number)
    # An epoch of warm-up is at most a third of the training, or left out.
    least = {True: int(unit == "iters" or number > 2), False: 1}
    for steps in _schedules(cfg):
        scaled = [_scale(step, ratio, least[step.get("by_epoch", True)]) for step in steps]
        steps[:] = [step for step, is_left in zip(steps, scaled, strict=True) if is_left]
    for hook in cfg.get("custom_hooks") or []:
        _scale_hook(hook, ratio)


def set_learning_rate(cfg: Config, rate: float) -> None:
    """Train with another learning rate; rates at which the schedule ends are scaled with it.

    Args:
        cfg: The config, which is changed.
        rate: The highest rate, from which schedulers start.

    Raises:
        ConfigError: The config has not one optimiser.
    """
    optimizer = (cfg.get("optim_wrapper") or {}).get("optimizer")
    if not isinstance(optimizer, dict):
        raise ConfigError(
            f"--lr {rate}: expected optim_wrapper.optimizer in {cfg.filename}, found none"
        )
    before = optimizer.get("lr")
    optimizer["lr"] = rate
    for step in (step for steps in _schedules(cfg) for step in steps):
        for name in ("eta_min", "eta_max"):
            if before and step.get(name) and kind_of(step).endswith("LR"):
                step[name] *= rate / before


def _schedules(cfg: Config) -> Iterator[list[dict[str, Any]]]:
    """The config's lists of schedulers: one, or one for each of several optimisers."""
    value = cfg.get("param_scheduler") or []
    if isinstance(value, dict) and "type" in value:
        value = cfg.param_scheduler = [value]
    yield from value.values() if isinstance(value, dict) else [value]


def _scale_interval(part: dict[str, Any], name: str, before: int, after: int) -> None:
    interval = part.get(name)
    if interval is None or interval < 1:  # -1: never
        return
    shorter = max(1, round(interval * Fraction(min(after, before), before)))
    part[name] = after if interval >= before else shorter


def _scale_hook(hook: dict[str, Any], ratio: Fraction) -> None:
    kind = kind_of(hook)
    for name in _BEGINS.get(kind, ()):
        if hook.get(name):
            hook[name] = int(hook[name] * ratio)  # rounded up, it might be the training's end
    if kind == "FreezeBackboneHook" and hook.get("until"):
        hook["until"] = max(1, round(hook["until"] * ratio))


def _scale(step: dict[str, Any], ratio: Fraction, least: int) -> bool:
    """Scale a scheduler, and return whether anything is left of it.

    Args:
        step: Its config, which is changed.
        ratio: The new length per former one.
        least: What its end may not go below.
    """
    begin, end = step.get("begin", 0), step.get("end", _FOREVER)
    whole = step.get("T_max") == end - begin
    for name in ("begin", "end"):
        if 0 < step.get(name, 0) < _FOREVER:
            step[name] = max(least, round(step[name] * ratio))
    for name in ("T_max", "step_size", "total_steps"):
        if step.get(name):
            step[name] = max(1, round(step[name] * ratio))
    for name in ("milestones", "periods"):
        if step.get(name):
            step[name] = [max(1, round(value * ratio)) for value in step[name]]
    if kind_of(step) == "ExponentialLR":
        step["gamma"] **= float(1 / ratio)
    left = step.get("end", _FOREVER) - step.get("begin", 0)
    if whole:
        step["T_max"] = left
    return left > 0
