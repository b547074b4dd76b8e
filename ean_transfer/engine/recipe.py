"""What switches add to a training's recipe: one table of switch and change of the config.

``ean train`` and ``ean search`` call :func:`set_recipe` with their command line. A new switch is a
function here, a line in :data:`CHANGES` and its declaration in ``cli/switches.py``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mmengine.device.utils
import torch
from mmengine.config import Config

from ean_transfer.engine.config import optim_wrapper, set_amp
from ean_transfer.engine.metrics import higher_is_better
from ean_transfer.errors import ConfigError
from ean_transfer.registry import type_name

_PROJECT = "ean-transfer"
# By so much a validation must be better than the best one before. mmengine's 0.1 is a small step of
# a percentage and a large one of a loss; with 0 a metric that stays where it is would never stop.
_BETTER = 1e-9
# Metric type -> the number that a training is judged by, and whether a good network has more of it.
_MONITORED = {
    "Accuracy": ("accuracy/top1", "greater"),
    **dict.fromkeys(("IoUMetric", "PerClassIoUMetric"), ("mIoU", "greater")),
    "CountingMetric": ("MAE", "less"),
}
# The same of a supernet, by its scorer; None is the validation loop's default.
_MONITORED_MASKS = {
    "ClassificationScorer": ("accuracy/random", "greater"),
    "SegmentationScorer": ("miou/random", "greater"),
    "CountingScorer": ("mae/random", "less"),
}


def set_recipe(cfg: Config, values: Mapping[str, Any]) -> None:
    """Change a config as the switches say that a command line gives.

    Args:
        cfg: The config, which is changed.
        values: Name of a switch, as in :data:`CHANGES` -> its value. Others are left alone, and so
            are those that are ``None`` or ``False``.

    Raises:
        ConfigError: A switch does not fit the config, or needs a package that is not installed.
    """
    for name, change in CHANGES.items():
        value = values.get(name)
        if value is not None and value is not False:
            change(cfg, value)


# -- trackers ------------------------------------------------------------------------------------


def set_tensorboard(cfg: Config, _: bool = True) -> None:
    """Also write scalars as TensorBoard events, into the run's ``vis_data`` folder."""
    _add_tracker(cfg, "tensorboard", dict(type="TensorboardVisBackend"))


def set_wandb(cfg: Config, _: bool = True) -> None:
    """Also send scalars to Weights & Biases; with ``WANDB_MODE=offline`` they stay in a folder."""
    run = dict(project=_PROJECT, name=_run_name(cfg))
    _add_tracker(cfg, "wandb", dict(type="WandbVisBackend", init_kwargs=run))


def set_mlflow(cfg: Config, _: bool = True) -> None:
    """Also log scalars to MLflow's ``MLFLOW_TRACKING_URI``, or else into the run's folder."""
    backend = dict(
        type="MLflowVisBackend",
        exp_name=_PROJECT,
        run_name=_run_name(cfg),
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI"),
        # A whole config has more parameters than a server takes.
        tracked_config_keys=["optim_wrapper", "train_cfg", "randomness"],
    )
    _add_tracker(cfg, "mlflow", backend)


def _add_tracker(cfg: Config, package: str, backend: dict[str, Any]) -> None:
    if find_spec(package) is None:
        raise ConfigError(f"--{package} needs {package}: pip install {package}")
    visualizer = cfg.get("visualizer") or dict(type="Visualizer")
    backends: Sequence[Any] = visualizer.get("vis_backends") or [dict(type="LocalVisBackend")]
    cfg.visualizer = {**visualizer, "vis_backends": [*backends, backend]}


def _run_name(cfg: Config) -> str:
    file = Path(cfg.filename or "run")
    return f"{file.resolve().parent.name}/{file.stem}"


# -- the optimiser's steps -----------------------------------------------------------------------


def _set_accumulation(cfg: Config, batches: int) -> None:
    """Take an optimiser's step after the gradients of several batches."""
    optim_wrapper(cfg, f"--accumulate {batches}")["accumulative_counts"] = batches


def _set_clipping(cfg: Config, norm: float) -> None:
    """Shorten gradients whose norm over all parameters is larger."""
    optim_wrapper(cfg, f"--clip-grad {norm:g}")["clip_grad"] = dict(max_norm=norm)


# -- hooks ---------------------------------------------------------------------------------------


def _add_hook(cfg: Config, **hook: Any) -> None:
    cfg.custom_hooks = [*(cfg.get("custom_hooks") or []), hook]


def _set_averaging(cfg: Config, _: bool) -> None:
    """Validate, test and save weights averaged over the training, with buffers of their own.

    The average follows the weights fast at first, and later over some thousand iterations.
    """
    if any(type_name(hook.get("type")) == "EMAHook" for hook in cfg.get("custom_hooks") or []):
        raise ConfigError(f"--ema: {cfg.filename} has an EMAHook already, leave out --ema")
    _add_hook(cfg, type="EMAHook", ema_type="MomentumAnnealingEMA", update_buffers=True)


def _set_freezing(cfg: Config, until: int | bool) -> None:
    """Freeze the backbone at first; ``True``: for good."""
    _add_hook(cfg, type="FreezeBackboneHook", until=None if until is True else until)
    cfg.find_unused_parameters = True  # what is frozen gets no gradient in any process


def _set_compiling(cfg: Config, _: bool) -> None:
    """Compile the backbone for the training."""
    if _is_supernet(cfg):
        raise ConfigError(
            f"--compile: expected a training of one network, {cfg.filename} trains a supernet, "
            "whose mask changes with each batch: leave out --compile"
        )
    _add_hook(cfg, type="CompileHook")


def _set_validation_loss(cfg: Config, _: bool) -> None:
    """Also compute the training's loss in each validation, as the metric ``loss``."""
    if _is_supernet(cfg) or not cfg.get("val_cfg"):
        has = "scores masks instead" if cfg.get("val_cfg") else "has no validation"
        raise ConfigError(f"--val-loss: expected a validation of one network, {cfg.filename} {has}")
    _add_hook(cfg, type="ValidationLossHook")


def _set_early_stopping(cfg: Config, patience: int) -> None:
    """Stop after some validations without a better one, and keep the best checkpoint."""
    metric, rule = _monitored(cfg)
    validations = _number_of_validations(cfg)
    if validations <= patience:
        raise ConfigError(
            f"--early-stopping {patience}: expected more validations than that, {cfg.filename} has "
            f"{validations}: validate more often, by --cfg-options train_cfg.val_interval=1 "
            "(epochs, or iterations)"
        )
    hooks = cfg.setdefault("default_hooks", {})
    saving = hooks.setdefault("checkpoint", {"interval": 1})
    saving.setdefault("save_best", metric)
    saving.setdefault("rule", rule)
    _add_hook(
        cfg,
        type="EarlyStopHook",
        monitor=metric,
        rule=rule,
        patience=patience,
        min_delta=_BETTER,
    )


def _monitored(cfg: Config) -> tuple[str, str]:
    saving = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    metric, rule = saving.get("save_best"), saving.get("rule")
    known: tuple[str, str] | None
    if isinstance(metric, str) and metric != "auto":
        rules = {True: "greater", False: "less", None: None}
        rule = rule or rules[higher_is_better(metric)]
        known = (metric, rule) if rule else None
    elif _is_supernet(cfg):
        scorer = (cfg.val_cfg.get("scorer") or {}).get("type", "ClassificationScorer")
        known = _MONITORED_MASKS.get(type_name(scorer))
    else:
        evaluators = cfg.get("val_evaluator") or []
        evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
        names = (_MONITORED.get(type_name(evaluator.get("type"))) for evaluator in evaluators)
        known = next(filter(None, names), None)
    if known is None:
        raise ConfigError(
            f"--early-stopping: which metric is to grow? Say it in {cfg.filename}: "
            "default_hooks.checkpoint.save_best=METRIC and .rule=greater or less"
        )
    return known


def _is_supernet(cfg: Config) -> bool:
    return type_name((cfg.get("val_cfg") or {}).get("type")) == "SupernetValLoop"


def _number_of_validations(cfg: Config) -> int:
    loop = cfg.get("train_cfg") or {}
    length, interval = loop.get("max_epochs"), 1  # mmengine's default, as the next one
    if length is None:
        length, interval = loop.get("max_iters", 0), 1000
    return math.ceil(length / loop.get("val_interval", interval)) if cfg.get("val_cfg") else 0


# -- the process ---------------------------------------------------------------------------------


def set_device(_: Config, name: str) -> None:
    """Train on a device instead of the accelerator that mmengine has chosen for the process.

    Raises:
        ConfigError: There is no such device here.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"--device {name}: expected a device of this machine, such as cpu or cuda:0 "
            f"({reason:.100})"
        ) from None
    mmengine.device.utils.DEVICE = device.type
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


CHANGES: dict[str, Callable[[Config, Any], None]] = {
    "device": set_device,  # first, since the kind of mixed precision depends on it
    "amp": lambda cfg, _: set_amp(cfg),
    "compile": _set_compiling,
    "accumulate": _set_accumulation,
    "clip_grad": _set_clipping,
    "ema": _set_averaging,
    "freeze_backbone": _set_freezing,
    "val_loss": _set_validation_loss,
    "early_stopping": _set_early_stopping,
    "tensorboard": set_tensorboard,
    "wandb": set_wandb,
    "mlflow": set_mlflow,
}
"""Name of a switch, as argparse has it -> what changes the config by its value."""
