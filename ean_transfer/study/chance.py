"""Which sources of chance a study's seeds do not vary: its verdicts say nothing about those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from ean_transfer.engine.config import backbone_configs
from ean_transfer.study.plan import StudyPlan


def fixed_sources(plan: StudyPlan, configs: Mapping[str, Config]) -> list[str]:
    """What is the same for every seed, one sentence each.

    All else varies with the seed: new weights (backbone and head), order of the data, augmentation,
    and what the tasks' ``seed_keys`` name.

    Args:
        plan: The study.
        configs: Task -> its config.
    """
    fixed = ["Test images: the claims are about other trainings, not about other images."]
    searched = [arm.title for arm in plan.compared if arm.kind in plan.search_configs]
    if searched:
        fixed.append(
            f"The search of {', '.join(searched)}: it was done once, and may find another ticket "
            "with another seed."
        )
    for name, cfg in configs.items():
        fixed += [f"{name}: {source}." for source in _of_task(plan, name, cfg)]
    return fixed


def _of_task(plan: StudyPlan, name: str, cfg: Config) -> Iterator[str]:
    task = plan.tasks[name]
    if task.once:
        yield f"the whole training, once for each ticket with seed {plan.seeds[0]}"
    elif task.starts_from is not None:
        if plan.tasks[task.starts_from].once:
            yield f"the start, the one backbone of {task.starts_from} for each ticket"
    elif task.weights is not None:
        if "{seed}" not in task.weights:
            yield f"the start, {task.weights}"
    elif weights := _own_start(cfg):
        yield f"the start, the pretrained weights {weights}"
    draws = dict(_seeds(cfg.get("train_dataloader"), "train_dataloader"))
    for key in sorted(draws.keys() - set(task.seed_keys)):
        yield f"what {key} = {draws[key]} draws"
    if not draws:
        yield "the training images"


def _own_start(cfg: Config) -> str | None:
    """Where a config says that its first weights come from; ``None`` if they are new."""
    parts = (cfg.model, *backbone_configs(cfg.model))
    weights = cfg.get("load_from") or next(filter(None, map(_pretrained, parts)), None)
    return str(weights) if weights else None


def _pretrained(part: Mapping[str, Any]) -> str | None:
    """Where the config of a model or backbone says that its first weights come from."""
    start = part.get("init_cfg") or []  # one, or several
    starts = [start] if isinstance(start, Mapping) else start
    checkpoint = next(filter(None, (one.get("checkpoint") for one in starts)), None)
    return part.get("weights") or part.get("pretrained") or checkpoint


def _seeds(part: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Keys of a data loader's config, with dots, that are the seed of a draw, and their values."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key == "seed":
                yield f"{place}.{key}", value
            else:
                yield from _seeds(value, f"{place}.{key}")
