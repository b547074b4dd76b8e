"""What a finished search has shown, and what it has not: the ticket against none, full and others.

Errors are standard errors over the held-out images, of differences image by image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from pydantic import ConfigDict

from ean_transfer.io.records import JSONFile
from ean_transfer.io.tables import markdown
from ean_transfer.search.confirm import Confirmed
from ean_transfer.search.judge import Judge
from ean_transfer.search.quality import qualities
from ean_transfer.search.standing import Finalist, Name, Standing
from ean_transfer.search.worth import Worth, explained_by_number, worth_of_connections, worth_table
from ean_transfer.supernet.scoring import Metric
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import Mask, bits_of, mask_of


class Verdict(JSONFile):
    """The content of ``verdict.json``.

    Args:
        quality: Name of what masks are compared by: the scorer's metric or ``"loss"``.
        unit: Its unit.
        images: Number of held-out images.
        masks_scored: Number of masks that the finalists were chosen from.
        supernets: Number of supernets whose scores were averaged.
        masks: Ticket, runner-up (second of the finalists), none and full.
        baselines: Masks that need no search, by name.
        finalists: All finalists, the best first.
        alike: Number of finalists, the ticket not counted, that are within two standard errors of
            the ticket.
        luck: Standard errors that the largest difference between ``masks_scored`` masks exceeds in
            one of twenty searches if all masks are equally good (Tukey's range test).
        merit_unit: Unit of the worths: that of the rewards, where higher is better.
        worth: What each block's connection is worth, by all scored masks.
        explained_by_number: Share of the variance between the scored masks that their number of
            connections alone explains.
        summary: How many finalists cannot be told from the ticket, and how many baselines it is
            surely better than.
        warnings: What the search has not shown, one sentence each.
        advice: What would help, one sentence each.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")  # a loss may be infinite
    what = "verdict"

    format: Literal["ean-transfer/verdict"] = "ean-transfer/verdict"
    version: Literal[1] = 1
    quality: str
    unit: str
    images: int
    masks_scored: int
    supernets: int
    masks: dict[Name, Standing]
    baselines: dict[str, Standing] = {}
    finalists: tuple[Finalist, ...]
    alike: int
    luck: float
    merit_unit: str = ""
    worth: tuple[Worth, ...] = ()
    explained_by_number: float | None = None
    summary: str
    warnings: tuple[str, ...]
    advice: tuple[str, ...]

    @classmethod
    def of(
        cls,
        final: Confirmed,
        masks_scored: int,
        supernets: int,
        merits: Mapping[Mask, float] = MappingProxyType({}),
    ) -> Verdict:
        """The verdict on a search.

        Args:
            final: The finalists, with none and full among them, and the baselines.
            masks_scored: Number of distinct masks scored while searching.
            supernets: Number of supernets whose scores were averaged.
            merits: What each scored mask is good for, in units of reward; without them nothing is
                said of single connections.
        """
        masks_scored = max(masks_scored, len(final.outcomes))
        judge = Judge(final, masks_scored, supernets)
        scored = list(merits), list(merits.values())
        return cls(
            quality=judge.quality.name,
            unit=judge.quality.unit,
            images=final.score.images,
            masks_scored=masks_scored,
            supernets=supernets,
            masks={name: judge.standing(mask, name) for name, mask in judge.named.items()},
            baselines={name: judge.standing(mask) for name, mask in final.baselines.items()},
            finalists=tuple(
                Finalist(mask=bits_of(mask), over_ticket=judge.gain(mask, final.chosen))
                for mask in final.ranked
            ),
            alike=len(judge.alike),
            luck=judge.luck,
            merit_unit=judge.quality.reward_unit or judge.quality.unit,
            worth=tuple(worth_of_connections(*scored)) if merits else (),
            explained_by_number=explained_by_number(*scored) if merits else None,
            summary=judge.summary(),
            warnings=tuple(judge.warnings()),
            advice=tuple(judge.advice()),
        )

    def table(self, network: Ticket, metric: Metric) -> str:
        """Ticket, runner-up, none, full and the baselines as a table in Markdown.

        Args:
            network: Ticket of the supernet, which tells the stages.
            metric: The scorer's metric.
        """
        kinds = qualities(metric)
        quality = kinds[self.quality]
        others: tuple[Name, ...] = ("ticket", "none", "full")
        headings = ["", "mask", "connections"] + [f"{n} ({q.unit})" for n, q in kinds.items()]
        rows = [headings + [f"better than {name} by ({self.unit})" for name in others]]
        named = {name.replace("_", "-"): one for name, one in self.masks.items()}
        for name, one in (named | self.baselines).items():
            mask = network.with_mask(mask_of(one.mask))
            title = name if one.feasible else f"{name} (breaks the constraint)"
            values = [f"{one.values[n]:.{q.decimals - 2}f}" for n, q in kinds.items()]
            gains = [
                one.over[other][self.quality].text(quality) if other in one.over else ""
                for other in others
            ]
            rows.append([title, str(mask), str(mask.connected), *values, *gains])
        return markdown(rows)

    def worth_table(self, blocks: Sequence[int]) -> str:
        """What each connection is worth, and their number alone, as text.

        Args:
            blocks: Number of blocks in each stage.
        """
        table = worth_table(self.worth, blocks, self.merit_unit)
        if self.explained_by_number is None:
            return table
        return (
            f"{table}The number of connections alone explains {self.explained_by_number:.0%} of "
            "the variance between the masks scored."
        )

    @property
    def text(self) -> str:
        """Summary, warnings and advice, a line each."""
        warnings = (f"WARNING: {warning}" for warning in self.warnings)
        advice = (f"what would help: {advice}" for advice in self.advice)
        return "\n".join((self.summary, *warnings, *advice))
