"""The searches of a study: the ticket of an arm, found in a folder of the study's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ean_transfer.engine.config import load_config
from ean_transfer.io.records import remedy
from ean_transfer.search.run import run_search
from ean_transfer.study.arms import folder_of
from ean_transfer.study.identity import config_digest, require_identity, write_identity
from ean_transfer.study.plan import StudyPlan
from ean_transfer.ticket import Ticket

_TICKET = "ticket.json"


@dataclass(frozen=True)
class Search:
    """The search of an arm's ticket.

    Attributes:
        name: The arm, ``"ticket"`` or one of the plan's ``searches``.
        config: The search config's file.
        folder: The search's work dir.
        seed: Its seed; ``None`` for that of its config.
        start: No search starts from a run.
    """

    name: str
    config: str
    folder: Path
    seed: int | None = None
    start: None = None

    @property
    def label(self) -> str:
        """What a line about the search begins with."""
        return f"search, {self.name}: {self.config}"

    @property
    def done(self) -> bool:
        """Whether its ticket is there, which a search writes last."""
        return (self.folder / _TICKET).exists()


def search_folder(work_dir: Path, name: str) -> Path:
    """The folder of the search of an arm's ticket in a study's work dir."""
    return work_dir / ("search" if name == "ticket" else f"search_{folder_of(name)}")


def make_searches(plan: StudyPlan, work_dir: Path, seed: int | None = None) -> list[Search]:
    """Make the searches of a study.

    Args:
        plan: The study.
        work_dir: Its folder.
        seed: Seed of the searches; that of each one's config by default.
    """
    return [
        Search(name, config, search_folder(work_dir, name), seed)
        for name, config in plan.search_configs.items()
    ]


def require_own_folder(search: Search) -> None:
    """Refuse a search whose config is not valid, or whose folder belongs to another search.

    Raises:
        ConfigError: It is one of these.
    """
    require_identity(search.folder, _prepared(search)[1])


def find_ticket(search: Search) -> Ticket:
    """Search, or continue a search; the ticket of one that is finished is taken.

    Raises:
        ConfigError: As :func:`require_own_folder`.
        TicketError: The ticket in the folder is torn.
    """
    cfg, identity = _prepared(search)
    require_identity(search.folder, identity)
    if search.done:
        with remedy("delete it, and the search ends again from what it saved"):
            return Ticket.load(search.folder / _TICKET)
    write_identity(search.folder, identity)
    return run_search(cfg, search.folder, resume=True, seed=identity["seed"], quiet=True)


def _prepared(search: Search) -> tuple[Config, dict[str, Any]]:
    """A search's config, and what tells it from another one."""
    cfg, seed = load_config(search.config), search.seed
    if seed is None:
        seed = cfg.get("randomness", {}).get("seed")
    return cfg, {"seed": seed, "config_digest": config_digest(cfg, seed=seed)}
