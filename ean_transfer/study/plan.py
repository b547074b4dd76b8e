"""What a study compares: its arms, tasks and seeds, as a config's ``study`` says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from mmengine.config import Config
from pydantic import AfterValidator, Field, StringConstraints, model_validator
from typing_extensions import Self

from ean_transfer.attention import attention_options
from ean_transfer.engine.config import load_config
from ean_transfer.engine.metrics import higher_is_better
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Checked, Positive
from ean_transfer.study.arms import KINDS, Arm, NamedAttention
from ean_transfer.study.claims import Claim

_T = TypeVar("_T")


def _all_different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # A run made twice would count as two in means and deviations.
    if len(set(values)) < len(values):
        raise ValueError("expected different values")
    return values


# Configs have lists as well as tuples.
_Tuple = Annotated[tuple[_T, ...], Field(strict=False), AfterValidator(_all_different)]


def _is_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}")
    return kind


def _is_free(name: str) -> str:
    # An arm's name is that of its ticket's file, beside results.json and claims.json.
    if name in (*KINDS, "results", "claims"):
        raise ValueError("expected a name that is not taken")
    return name


_Kind = Annotated[str, AfterValidator(_is_kind)]
_Name = Annotated[str, StringConstraints(pattern=r"^\w[\w .+-]*$"), AfterValidator(_is_free)]


def _known(attention: dict[str, Any]) -> dict[str, Any]:
    attention_options(NamedAttention("", attention).config)  # whose errors name what is unknown
    return attention


class Task(Checked):
    """One task of a study.

    Attributes:
        config: The task's config file.
        metric: Name of the test metric that goes into the table.
        label: The table's heading.
        starts_from: The task whose trained backbone it starts from; ``None`` for fresh weights.
        weights: A checkpoint from elsewhere, in place of ``starts_from``. ``{arm}`` in its path
            stands for the arm (``SE_full`` where there are several attentions), ``{seed}`` for the
            seed.
        seed_keys: Keys of the config, with dots, that also get the run's seed, e.g. that of a
            random draw of the training images.
        once: Whether to train it with the first seed only, once for each ticket: a pretrained
            network that the runs of all seeds start from.
    """

    what: ClassVar[str] = "a study's task"

    config: str
    metric: str
    label: str
    starts_from: str | None = None
    weights: str | None = None
    seed_keys: _Tuple[str] = ()
    once: bool = False


class StudyPlan(Checked):
    """What a study compares; the keys of a study config's ``study``.

    Attributes:
        tasks: Name -> task, in the order they are trained.
        search: A search config; its ticket is that of the arm ``ticket``.
        ticket: A ticket file or ``zoo:NAME`` in place of a search.
        arms: The kinds of arms to compare, of :data:`KINDS`. The arm ``random`` has for each seed
            another ticket of as many connections (:meth:`Ticket.shuffled`).
        tickets: Name -> ticket file or ``zoo:NAME``: further arms, each under its name.
        searches: Name -> search config: further arms with the tickets of these searches, e.g. one
            on the task itself as ``searched_on_target``.
        attentions: Name -> a config's attention. All kinds but none are compared with each of them,
            as e.g. ``SE full``, and the ticket's mask is carried to each. An ``asr`` beside the
            options is the backbone's (:mod:`ean_transfer.asr`). By default the arms have the
            attention of the tasks' own configs.
        seeds: Seeds that each arm is trained with.
        claims: What the study is to decide, see :mod:`~ean_transfer.study.claims`.
        image_size: Side of the square input for the time increment, in pixels.
        batch_size: Number of images in that input.
        compiled: Whether to measure the time increment after ``torch.compile`` as well, which
            takes up to minutes per arm.
    """

    what: ClassVar[str] = "study"

    tasks: Annotated[dict[str, Annotated[Task, Field(strict=False)]], Field(min_length=1)]
    search: str | None = None
    ticket: str | None = None
    arms: Annotated[_Tuple[_Kind], Field(min_length=1)] = ("none", "full", "ticket")
    tickets: dict[_Name, str] = Field(default_factory=dict)
    searches: dict[_Name, str] = Field(default_factory=dict)
    attentions: dict[str, Annotated[dict[str, Any], AfterValidator(_known)]] = Field(
        default_factory=dict
    )
    seeds: Annotated[_Tuple[int], Field(min_length=1)] = (0,)
    claims: _Tuple[Claim] = ()
    image_size: Positive = 32
    batch_size: Positive = 32
    compiled: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if (self.search is None) == (self.ticket is None):
            yield "expected either `search`, a search config, or `ticket`"
        labels = [task.label for task in self.tasks.values()]
        if len(set(labels)) < len(labels):  # results.json has them as keys
            yield f"expected a different label for each task, found {labels}"
        earlier: list[str | None] = [None]
        for name, task in self.tasks.items():
            if task.starts_from is not None and task.weights is not None:
                yield f"task {name}: expected `starts_from` or `weights`, found both"
            if task.starts_from not in earlier:
                yield f"task {name} starts from {task.starts_from!r}, no such task before it"
            if "random" in self.arms and task.weights and "{seed}" not in task.weights:
                yield (
                    f"task {name}: with the arm random, expected {{seed}} in the path of the "
                    "weights, since each seed has another ticket"
                )
            earlier.append(name)
        if both := sorted(self.tickets.keys() & self.searches.keys()):
            yield f"expected different names in `tickets` and `searches`, found {both} in both"
        folders = [arm.folder for arm in self.compared]
        if len(set(folders)) < len(folders):
            yield f"expected names that differ in more than spaces and underscores, found {folders}"
        for number, claim in enumerate(self.claims):
            if problem := self._problem_of(claim):
                yield f"claims.{number}: {problem}"

    def _problem_of(self, claim: Claim) -> str:
        titles = [arm.title for arm in self.compared]
        for title in claim.arms:
            if title not in titles:
                return f"expected one of the arms {titles}, found {title!r}"
        if claim.arms[0] == claim.arms[1]:
            return f"expected two arms, found {claim.arms[0]!r} twice"
        tasks = self._tasks_of(claim)
        if len(tasks) != 1:
            which = f"found {len(tasks)} that fit" if tasks else "found none that fits"
            return f"expected `task`, one of {list(self.tasks)}, and perhaps `metric`: {which}"
        if self.tasks[tasks[0]].once:
            return f"task {tasks[0]} is trained with one seed only (once=True), which tells nothing"
        metric = claim.metric or self.tasks[tasks[0]].metric
        if claim.higher_is_better is None and higher_is_better(metric) is None:
            return f"is a high or a low {metric!r} good? Say `higher_is_better=True` or False"
        return ""

    def _tasks_of(self, claim: Claim) -> list[str]:
        if claim.task is not None:
            return [name for name in self.tasks if name == claim.task]
        if claim.metric is None or len(self.tasks) == 1:
            return list(self.tasks)
        return [name for name, task in self.tasks.items() if task.metric == claim.metric]

    def subject(self, claim: Claim) -> tuple[str, str, bool]:
        """Task and metric that a claim is about, and whether a high value of it is good."""
        (name,) = self._tasks_of(claim)
        metric, higher = claim.metric or self.tasks[name].metric, claim.higher_is_better
        return name, metric, bool(higher_is_better(metric) if higher is None else higher)

    def quality(self, claim: Claim) -> str:
        """What a claim's arms are compared by, as tables call it."""
        name, metric, _ = self.subject(claim)
        task = self.tasks[name]
        return task.label if metric == task.metric else f"{metric} ({name})"

    def metrics_of(self, name: str) -> list[str]:
        """The metrics that a task's test must give: its own, and those of claims about it."""
        subjects = [self.subject(claim) for claim in self.claims]
        claimed = [metric for task, metric, _ in subjects if task == name]
        return list(dict.fromkeys([self.tasks[name].metric, *claimed]))

    @property
    def compared(self) -> tuple[Arm, ...]:
        """All arms, those with attention once for each of the attentions."""
        attentions = [NamedAttention(*item) for item in self.attentions.items()]
        kinds = [*self.arms, *self.tickets, *self.searches]
        plain = [kind for kind in kinds if kind == "none" or not attentions]
        others = [kind for kind in kinds if kind not in plain]
        return (
            *(Arm(kind) for kind in plain),
            *(Arm(kind, attention) for attention in attentions for kind in others),
        )

    @property
    def search_configs(self) -> dict[str, str]:
        """Arm -> search config, of the arms whose tickets are searched."""
        main = {} if self.search is None else {"ticket": self.search}
        return main | self.searches

    @property
    def ticket_files(self) -> dict[str, str]:
        """Arm -> ticket file or ``zoo:NAME``, of the arms whose tickets are given."""
        main = {} if self.ticket is None else {"ticket": self.ticket}
        return main | self.tickets

    @classmethod
    def from_config(cls, cfg: Config) -> Self:
        """Read a config's ``study``.

        Raises:
            ConfigError: It is missing, has unknown keys or wrong values, or they do not fit
                together.
        """
        try:
            return cls(**(cfg.get("study") or Config()).to_dict())
        except ConfigError as error:
            raise ConfigError(f"{cfg.filename}: {error}") from None

    def load_configs(self) -> dict[str, Config]:
        """Load the tasks' configs by task.

        Raises:
            ConfigError: A config is not valid, or lacks one of the task's ``seed_keys``.
        """
        configs = {name: load_config(task.config) for name, task in self.tasks.items()}
        for name, task in self.tasks.items():
            for key in task.seed_keys:
                if not _has(configs[name], key):
                    raise ConfigError(
                        f"{task.config}: no key {key!r}, one of the study's seed_keys"
                    )
        return configs


def _has(cfg: Any, key: str) -> bool:
    name, _, rest = key.partition(".")
    if not isinstance(cfg, Mapping | Config) or name not in cfg:
        return False
    return not rest or _has(cfg[name], rest)
