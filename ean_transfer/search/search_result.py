"""What a search ends with: the ticket, the finalists, front and verdict, and the figure of all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ean_transfer.io.notices import notice
from ean_transfer.io.terminal import aligned
from ean_transfer.search.confirm import Confirmed, point
from ean_transfer.search.figure import draw_search
from ean_transfer.search.history import History
from ean_transfer.search.pareto import Pareto
from ean_transfer.search.quality import qualities, value_of
from ean_transfer.search.verdict import Verdict
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import Mask, bits_of


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        network: Ticket of the supernet.
        settings: Settings of the search.
        history: All masks scored while searching.
        named: Masks that are finalists by a rule or as references, by the rule's name.
        final: The finalists, scored on all held-out images.
        pareto: Front of quality over cost.
        verdict: What the search has shown, and what it has not.
    """

    network: Ticket
    settings: Mapping[str, Any]
    history: History
    named: Mapping[str, Mask]
    final: Confirmed
    pareto: Pareto
    verdict: Verdict

    @property
    def ticket(self) -> Ticket:
        """The best confirmed mask as a ticket, whose provenance has the :attr:`facts`."""
        return self.network.with_mask(self.final.chosen).replace(provenance=self.facts)

    @property
    def facts(self) -> dict[str, Any]:
        """What the ticket's provenance says of the search."""
        budget = self.final.budget
        measured = {} if budget is None else {"measured_again": budget.facts}
        return dict(
            settings=dict(self.settings),
            searched_for=self.final.reward.describe(),
            feasible=self.final.feasible,
            rules={name: bits_of(mask) for name, mask in self.named.items()},
            confirmed={bits_of(mask): self.final.facts(mask) for mask in self.final.ranked},
            images=self.final.score.images,
            distinct_masks=len(self.history.scores),
            **measured,
        )

    def overview(self) -> str:
        """Ticket, full and none with their values and costs, as aligned text."""
        metric, tables = self.final.reward.metric, self.final.reward.tables
        costs = [table for name, table in tables.items() if name != "sparsity"]
        rows = [["", "mask", "connections", *qualities(metric), *(table.cost for table in costs)]]
        for name in ("ticket", "full", "none"):
            mask = self.named.get(name, self.final.chosen)
            score = self.final.outcome(mask).score
            values = [
                f"{value_of(score, quality):.{quality.decimals - 2}f} {quality.unit}"
                for quality in qualities(metric).values()
            ]
            ticket = self.network.with_mask(mask)
            connections = f"{ticket.connected} of {ticket.num_blocks}"
            described = [table.describe(mask) for table in costs]
            rows.append([name, str(ticket), connections, *values, *described])
        return aligned(rows)

    def table(self) -> str:
        """Ticket, runner-up, none, full and baselines with paired errors, as Markdown."""
        return self.verdict.table(self.network, self.final.reward.metric)

    def worth_table(self) -> str:
        """What each connection is worth, with its interval, as a table in Markdown."""
        return self.verdict.worth_table(self.network.backbone.blocks)

    def figure(self, file: str | Path) -> Path:
        """Draw the search: scores on the images searched with, and the finalists on all images."""
        reward = self.history.reward
        return draw_search(
            self.history.trace,
            Path(file),
            self.network.backbone.blocks,
            reward_unit=reward.unit,
            cost=reward.cost,
            cost_unit=reward.tables[reward.cost].unit,
            quality=reward.axis,
            none=point(self.named["none"], reward.none, reward),
            full=point(self.named["full"], reward.full, reward),
            chosen=bits_of(self.final.chosen),
            verdict=self.verdict,
        )

    def log(self, logger: logging.Logger) -> None:
        """One log line per finalist, with the names of the rules that proposed it; the tables."""
        final = self.final
        if not final.feasible:
            logger.warning(
                f"no confirmed mask satisfies {final.reward.constraint}; the ticket is the closest"
            )
        for mask in final.ranked:
            names = ", ".join(name for name, other in self.named.items() if other == mask)
            line = ", ".join(f"{name} {value}" for name, value in final.facts(mask).items())
            logger.info(f"{self.network.with_mask(mask)}: {line} {names}")
        logger.info(f"the masks compared:\n{self.table()}")
        logger.info(f"what each connection is worth:\n{self.worth_table()}")
        notice(logger, self.overview(), "result")
        notice(logger, self.verdict.summary, "verdict")
        if final.budget is not None:
            level = logging.INFO if final.budget.kept else logging.WARNING
            logger.log(level, str(final.budget))
        if final.over_budget:
            logger.info(
                f"better by the table, but over the budget when timed: "
                f"{', '.join(str(self.network.with_mask(mask)) for mask in final.over_budget)}"
            )
        for warning in self.verdict.warnings:
            logger.warning(f"verdict: {warning}")
        for advice in self.verdict.advice:
            logger.info(f"what would help: {advice}")
