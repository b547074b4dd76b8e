"""One metric of a network as trained, folded, and without its attention."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from ean_transfer.asr.folding import fold, fold_means
from ean_transfer.asr.report import Action, apply
from ean_transfer.attachment.network import find_backbone


def folded_scores(
    model: nn.Module, calibration: Iterable[Any], score: Callable[[nn.Module], float]
) -> dict[str, float]:
    """Score a network step by step until no attention is left.

    Args:
        model: A trained network, which may be plain; it is left as it is.
        calibration: Images over which the kept attention's weights are averaged before folding.
        score: Returns a network's metric.

    Returns:
        The metric as trained; with the re-parameterised attention folded (``ASR folded``); with
        the kept attention folded as means, too (``all folded``); with the kept attention dropped
        instead (``kept dropped``).
    """
    exact = fold(model) if find_backbone(model).ticket.to_fold else model
    connected = [block for block, bit in enumerate(find_backbone(exact).ticket.mask) if bit]
    drop: dict[int, Action] = dict.fromkeys(connected, "drop")
    trained = score(model)
    plain = score(exact) if exact is not model else trained
    return {
        "as trained": trained,
        "ASR folded": plain,
        "all folded": score(fold_means(exact, calibration)) if connected else plain,
        "kept dropped": score(apply(exact, drop, {})) if connected else plain,
    }
