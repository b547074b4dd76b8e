"""What each connection of a trained network is worth, and whether to drop, fold or keep it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field
from torch import Tensor, nn

from ean_transfer.asr.folding import fold, fold_constants
from ean_transfer.asr.stripes import attention_values, stripe_scores
from ean_transfer.attachment.network import find_backbone
from ean_transfer.io.checked import checked_arguments
from ean_transfer.ticket import architectures

_Model = TypeVar("_Model", bound=nn.Module)
Action = Literal["drop", "fold", "keep"]


@dataclass(frozen=True)
class BlockReport:
    """What one block's attention is worth.

    Both losses include what DIA's later blocks lose when this one no longer feeds their LSTM.

    Attributes:
        block: Number of the block, counted over all stages from 0.
        name: Stage and block within it, from 1, e.g. ``2.1``.
        connected: Whether the ticket connects the block; if not, the other values are ``None``.
        stripe: Stripe score of the block (:func:`~ean_transfer.asr.stripe_scores`).
        drop: Loss of the metric if this connection alone is dropped; negative is a gain.
        fold: Loss of the metric if this connection alone is replaced by its mean over images, and
            folded.
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
        lost: Loss of the metric by all actions together, measured on the images of the choice.
        budget: Largest loss that was allowed.
    """

    actions: Mapping[int, Action]
    lost: float
    budget: float


class BlockAnalysis:
    """Measures, block by block, what the attention of a trained network is worth.

    Attention that is to be folded (``asr``) costs nothing and is folded before anything else.

    Args:
        model: A model with a ticketed backbone; it is left as it is.
        calibration: Images for means and stripe scores, as
            :func:`~ean_transfer.asr.attention_values` takes them.
        score: Function from a model to its metric, which must not use test data.
        higher_is_better: Whether a higher metric is better.

    Raises:
        ConfigError: No block is connected, or the attention does not give one weight per channel.
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
        self.means = {block: weights.mean(dim=0) for block, weights in self.values.items()}
        self.base = score(self.model)

    def blocks(self) -> list[BlockReport]:
        """Report every block; for each connection a network is scored that lacks it alone."""
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
        """Loss of a changed network's metric against the trained one's; negative is a gain."""
        return self.sign * (self.base - self.score(model))

    @checked_arguments
    def propose(
        self, reports: Sequence[BlockReport], budget: Annotated[float, Field(ge=0)]
    ) -> Proposal:
        """Remove as many connections as the budget allows, the cheapest first.

        A connection is to be dropped or folded, whichever loses less alone; if equal it is dropped,
        which changes no weight. Losses do not add up, so the network with all accepted changes is
        measured each time, and a connection whose removal would exceed the budget is kept.

        Args:
            reports: The result of :meth:`blocks`.
            budget: Largest loss of the metric in all, in its own unit, e.g. points of accuracy.

        Raises:
            ConfigError: The budget is negative.
        """
        candidates: list[tuple[float, int, Action]] = []
        for report in reports:
            if report.drop is not None and report.fold is not None:
                if report.drop <= report.fold:
                    candidates.append((report.drop, report.block, "drop"))
                else:
                    candidates.append((report.fold, report.block, "fold"))
        actions: dict[int, Action] = {block: "keep" for _, block, _ in candidates}
        lost = 0.0
        # Greedy: with all 3^n combinations to measure, there is no affordable way to the best one.
        for _, block, action in sorted(candidates):
            tried = self.lost(apply(self.model, {**actions, block: action}, self.means))
            if tried <= budget:
                actions[block], lost = action, tried
        return Proposal(dict(sorted(actions.items())), lost, budget)

    def everywhere(self, action: Action) -> nn.Module:
        """The network with the same action on every connection."""
        return apply(self.model, dict.fromkeys(self.means, action), self.means)

    def proposed(self, proposal: Proposal) -> nn.Module:
        """The network that a proposal stands for."""
        return apply(self.model, proposal.actions, self.means)


def apply(model: _Model, actions: Mapping[int, Action], means: Mapping[int, Tensor]) -> _Model:
    """Drop some connections of a model, and fold others as constants.

    Args:
        model: A model with a ticketed backbone; it is left as it is.
        actions: Connected block -> its action; others are kept.
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
