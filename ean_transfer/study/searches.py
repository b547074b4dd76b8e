"""The searches of a study: the ticket of an arm, found in a folder of the study's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config

from ean_transfer.engine.config import import_custom_modules, load_config
from ean_transfer.io.files import locked
from ean_transfer.io.records import remedy
from ean_transfer.search.run import run_search
from ean_transfer.study.arms import folder_of
from ean_transfer.study.identity import config_digest, write_identity
from ean_transfer.study.plan import StudyPlan
from ean_transfer.ticket import Ticket

TICKET = "ticket.json"
"""The file by which a search is known as done."""


@dataclass(frozen=True)
class Search:
    """The search of an arm's ticket.

    Attributes:
        name: The arm, ``"ticket"`` or one of the plan's ``searches``.
        cfg: The search config.
        folder: The search's work dir.
        identity: What tells it from another search, see :mod:`~ean_transfer.study.identity`.
    """

    name: str
    cfg: Config
    folder: Path
    identity: dict[str, Any]
    start: ClassVar[None] = None  # no search starts from a run

    @property
    def label(self) -> str:
        """What a line about the search begins with."""
        return f"search, {self.name}"

    @property
    def done(self) -> bool:
        """Whether its ticket is there, which a search writes last."""
        return (self.folder / TICKET).exists()


def search_folder(work_dir: Path, name: str) -> Path:
    """The folder of the search of an arm's ticket in a study's work dir."""
    return work_dir / ("search" if name == "ticket" else f"search_{folder_of(name)}")


def make_searches(plan: StudyPlan, work_dir: Path, seed: int | None = None) -> list[Search]:
    """Make the searches of a study.

    Args:
        plan: The study.
        work_dir: Its folder.
        seed: Seed of the searches; that of each one's config by default.

    Raises:
        ConfigError: A search's config is not valid.
    """
    searches = []
    for name, config in plan.search_configs.items():
        cfg = load_config(config)
        own = cfg.get("randomness", {}).get("seed") if seed is None else seed
        identity = {"seed": own, "config_digest": config_digest(cfg, seed=own)}
        searches.append(Search(name, cfg, search_folder(work_dir, name), identity))
    return searches


def find_ticket(search: Search) -> Ticket:
    """Search, or continue a search; the ticket of one that is finished is taken.

    Raises:
        TicketError: The ticket in the folder is torn.
    """
    if not search.done:
        with locked(search.folder, wait=True):  # a worker may do it for a study that was killed
            if not search.done:
                write_identity(search.folder, search.identity)
                import_custom_modules(search.cfg)
                seed = search.identity["seed"]
                run_search(search.cfg, search.folder, resume=True, seed=seed, quiet=True)
    with remedy("delete it, and the search ends again from what it saved"):
        return Ticket.load(search.folder / TICKET)
