"""What masks are compared by: the loss, or the scorer's metric, each known by its name."""

from __future__ import annotations

from ean_transfer.supernet.scoring import LOSS, Difference, Metric, Outcome, Score


def qualities(metric: Metric) -> dict[str, Metric]:
    """What a search by this metric may maximise or constrain, by name: the metric and the loss."""
    return {metric.name: metric, LOSS.name: metric.loss or LOSS}


def value_of(score: Score, quality: Metric) -> float:
    """The quality's value of a scored mask."""
    return score.loss if quality.name == LOSS.name else score.metric


def values_of(score: Score, metric: Metric) -> dict[str, float]:
    """The values of a scored mask by name, as files and tables show them."""
    return {name: value_of(score, quality) for name, quality in qualities(metric).items()}


def gain(first: Outcome, second: Outcome, quality: Metric) -> Difference:
    """By how much the first mask is better than the second; image by image, in quality's unit.

    A positive value is an advantage also where lower values are better.
    """
    by_loss = quality.name == LOSS.name
    above = first.loss_difference(second) if by_loss else first.difference(second)
    return above if quality.higher_is_better else above._replace(value=0.0 - above.value)
