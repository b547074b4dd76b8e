"""Which connections of a trained network are worth their time: drop, fold or keep each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from torch import Tensor, nn

from ean_transfer.asr.folding import fold, fold_constants
from ean_transfer.asr.stripes import attention_values, stripe_scores
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import architectures

_Model = TypeVar("_Model", bound=nn.Module)
Action = Literal["drop", "fold", "keep"]


@dataclass(frozen=True)
class BlockReport:
    """What one block's attention is worth.

    Attributes:
        block: Counted over all stages from 0.
        name: ``2.1``: stage and block within it, from 1.
        connected: Is it in the ticket? The rest is ``None`` if not.
        stripe: Its stripe score (:func:`~ean_transfer.asr.stripe_scores`).
        drop: What the metric loses if this connection alone is dropped; negative is a gain.
        fold: Likewise if it is replaced by its mean over images, and folded. Both hold what DIA's
            later blocks lose when this one no longer feeds their LSTM.
    """

    block: int
    name: str
    connected: bool
    stripe: float | None = None
    drop: float | None = None
    fold: float | None = None


@dataclass(frozen=True)
class Proposal:
    """What to do with each connection.

    Attributes:
        actions: Connected block -> ``drop``, ``fold`` or ``keep``.
        lost: What the metric loses by all of it together, measured on the images of the choice.
        budget: What it was allowed to lose.
    """

    actions: Mapping[int, Action]
    lost: float
    budget: float


class BlockAnalysis:
    """Measures, block by block, what the attention of a trained network is worth.

    Attention that is to be folded (``asr``) costs nothing and is folded before anything else.

    Args:
        model: With a ticketed backbone; left as it is.
        calibration: Images for means and stripe scores, as
            :func:`~ean_transfer.asr.attention_values` takes them.
        score: Model -> its metric. Nothing here may see test data.
        higher_is_better: Of the metric.

    Raises:
        ConfigError: If no block is connected, or the attention gives no weight a channel.
    """

    def __init__(
        self,
        model: nn.Module,
        calibration: Iterable[Any],
        score: Callable[[nn.Module], float],
        higher_is_better: bool = True,
    ) -> None:
        self.model = fold(model) if find_backbone(model).ticket.to_fold else model
        self.score = score
        self.sign = 1.0 if higher_is_better else -1.0
        self.values = attention_values(self.model, calibration)
        self.means = {block: found.mean(dim=0) for block, found in self.values.items()}
        self.base = score(self.model)

    def blocks(self) -> list[BlockReport]:
        """Every block, one network changed in one connection at a time."""
        stripes = stripe_scores(self.values)
        reports = []
        for block, name in enumerate(block_names(self.model)):
            if block in self.values:
                dropped, folded = (
                    self.lost(apply(self.model, {block: action}, self.means))
                    for action in ("drop", "fold")
                )
                reports.append(BlockReport(block, name, True, stripes[block], dropped, folded))
            else:
                reports.append(BlockReport(block, name, False))
        return reports

    def lost(self, model: nn.Module) -> float:
        """What the metric loses against the network as it was trained; negative is a gain."""
        return self.sign * (self.base - self.score(model))

    def propose(self, reports: Iterable[BlockReport], budget: float) -> Proposal:
        """Remove as many connections as the budget allows, the cheapest first.

        Each connection's candidate is what loses less alone, to drop or to fold; of equals, to
        drop, which changes no weight. Losses do not add up, so the network with all that was
        accepted is measured each time, and a candidate that would exceed the budget is kept.

        Args:
            reports: What :meth:`blocks` gave.
            budget: What the metric may lose in all, in its own unit, e.g. points of accuracy.

        Raises:
            ConfigError: If the budget is negative.
        """
        if budget < 0:
            raise ConfigError(f"expected a budget of 0 or more, found {budget}")
        candidates: list[tuple[float, int, Action]] = []
        for report in reports:
            if report.drop is not None and report.fold is not None:
                if report.drop <= report.fold:
                    candidates.append((report.drop, report.block, "drop"))
                else:
                    candidates.append((report.fold, report.block, "fold"))
        actions: dict[int, Action] = {block: "keep" for _, block, _ in candidates}
        lost = 0.0
        for _, block, action in sorted(candidates):
            found = self.lost(apply(self.model, {**actions, block: action}, self.means))
            if found <= budget:
                actions[block], lost = action, found
        return Proposal(dict(sorted(actions.items())), lost, budget)

    def everywhere(self, action: Action) -> nn.Module:
        """The network with the same done to every connection."""
        return apply(self.model, dict.fromkeys(self.means, action), self.means)

    def proposed(self, proposal: Proposal) -> nn.Module:
        """The network that a proposal stands for."""
        return apply(self.model, proposal.actions, self.means)


def apply(model: _Model, actions: Mapping[int, Action], means: Mapping[int, Tensor]) -> _Model:
    """The model with some connections dropped and others folded as constants.

    Args:
        model: With a ticketed backbone; left as it is.
        actions: Connected block -> what to do; others are kept.
        means: Block -> weights (C,) to fold.

    Returns:
        A copy, whose ticket connects what is kept.
    """
    folded = {block: means[block] for block, action in actions.items() if action == "fold"}
    changed = fold_constants(model, folded) if folded else copy.deepcopy(model)
    backbone = find_backbone(changed)
    backbone.disconnect(
        [bit and actions.get(block) != "drop" for block, bit in enumerate(backbone.mask)]
    )
    return changed


def block_names(model: nn.Module) -> list[str]:
    """The names of a network's blocks (:func:`ean_transfer.ticket.architectures.block_names`)."""
    return architectures.block_names(find_backbone(model).ticket.backbone.blocks)
