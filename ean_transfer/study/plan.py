"""What a study compares: tasks, arms and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from ean_transfer.attention import attention_options
from ean_transfer.errors import ConfigError

ARMS = ("none", "full", "ticket")
RANDOM = "random"  # an arm to ask for: for each seed another ticket of the same sparsity


@dataclass(frozen=True)
class Task:
    """One task of a study.

    Attributes:
        config: Its config file.
        metric: Name of the test metric that goes into the table.
        label: The table's heading.
        starts_from: The task whose trained backbone it starts from; ``None`` for fresh weights.
        weights: Instead of ``starts_from``, a checkpoint from elsewhere; ``{arm}`` in its path
            stands for the arm (``SE_full`` where there are several attentions), ``{seed}`` for the
            seed.
        seed_keys: Keys of the config, with dots, that get the run's seed too, e.g. that of a random
            draw of the training images.
        once: Train it with the first seed only, once for each ticket: a pretrained network that the
            runs of all seeds start from.
    """

    config: str
    metric: str
    label: str
    starts_from: str | None = None
    weights: str | None = None
    seed_keys: tuple[str, ...] = ()
    once: bool = False


@dataclass(frozen=True)
class StudyPlan:
    """What a study compares; the keys of a study config's ``study``.

    Attributes:
        tasks: Name -> task, in the order they are trained.
        search: A search config; its ticket is the arm ``ticket``.
        ticket: A ticket file or ``zoo:NAME`` instead of a search.
        arms: Which of none, full, ticket and random to compare; by default all but random, which is
            for each seed another ticket of the same sparsity (:meth:`Ticket.shuffled`).
        attentions: Name -> a config's attention: all arms but none are made with each of them, and
            are called e.g. ``SE full`` then; the ticket's mask is carried to each. An ``asr``
            beside the options is the backbone's (:mod:`ean_transfer.asr`). By default the arms have
            the configs' own attention.
        seeds: Each arm is trained once with each.
        image_size: Side of the square input, in pixels, for the time increment.
        batch_size: Images of that input.
    """

    tasks: Mapping[str, Task]
    search: str | None = None
    ticket: str | None = None
    arms: tuple[str, ...] = ARMS
    attentions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    image_size: int = 32
    batch_size: int = 32

    def __post_init__(self) -> None:
        if (self.search is None) == (self.ticket is None):
            raise ConfigError("a study has either `search`, a search config, or `ticket`")
        if unknown := set(self.arms) - {*ARMS, RANDOM}:
            known = ", ".join((*ARMS, RANDOM))
            raise ConfigError(f"a study's arms are {known}; found {sorted(unknown)}")
        for what in ("tasks", "arms", "seeds"):
            if not getattr(self, what):
                raise ConfigError(f"a study needs {what}, found none")
        for what in ("arms", "seeds"):
            if len(set(getattr(self, what))) < len(getattr(self, what)):
                raise ConfigError(f"a study's {what} differ, found {getattr(self, what)}")
        for name, attention in self.attentions.items():
            try:
                attention_options(split_asr(attention)[0])
            except (TypeError, ValueError) as error:
                raise ConfigError(f"a study's attention {name}: {error}") from None
        labels = [task.label for task in self.tasks.values()]
        if len(set(labels)) < len(labels):
            raise ConfigError(f"a study's tasks have labels of their own, found {labels}")
        names = list(self.tasks)
        for name, task in self.tasks.items():
            if task.starts_from is not None and task.weights is not None:
                raise ConfigError(f"task {name} has both `starts_from` and `weights`: give one")
            if task.starts_from is not None and task.starts_from not in names[: names.index(name)]:
                raise ConfigError(
                    f"task {name} starts from {task.starts_from!r}, no such task before it"
                )
            if RANDOM in self.arms and task.weights is not None and "{seed}" not in task.weights:
                raise ConfigError(
                    f"task {name}: with the arm random, weights need {{seed}} in their path, as "
                    "each seed has its own ticket"
                )

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of what is compared: the arms, those with attention once for each attention."""
        plain = tuple(arm for arm in self.arms if arm == "none" or not self.attentions)
        rest = tuple(arm for arm in self.arms if arm not in plain)
        return plain + tuple(f"{name} {arm}" for name in self.attentions for arm in rest)

    @classmethod
    def from_config(cls, cfg: Config) -> StudyPlan:
        """Read a config's ``study``.

        Raises:
            ConfigError: If it is missing, has unknown keys, or a single value for a list.
        """
        if "study" not in cfg:
            raise ConfigError(f"{cfg.filename}: a study config has `study = dict(tasks=...)`")
        given = cfg.study.to_dict()
        try:
            tasks = {
                name: Task(
                    **task | {"seed_keys": _as_tuple("seed_keys", task.get("seed_keys", ()))}
                )
                for name, task in given.pop("tasks", {}).items()
            }
            for key in ("arms", "seeds"):
                if key in given:
                    given[key] = _as_tuple(key, given[key])
            return cls(tasks=tasks, **given)
        except (TypeError, AttributeError) as error:
            raise ConfigError(f"{cfg.filename}: {error}") from None


def _as_tuple(key: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"a study's {key} are a list, such as [{value!r}], found {value!r}")
    return tuple(value)


def split_asr(attention: Mapping[str, Any]) -> tuple[dict[str, Any], bool | str]:
    """An attention of a plan's, without its ``asr``, and that."""
    options = dict(attention)
    return options, options.pop("asr", False)


def arm_of(network: str) -> str:
    """``full`` of ``SE full``, one of a plan's networks."""
    return network.rpartition(" ")[2]
