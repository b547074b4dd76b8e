"""Searching for a ticket: strategies, rewards, costs, the loop, and the final choice.

Importing this package loads the strategies and no OpenMMLab package but mmengine.

======================  ===============================================================
:mod:`~.strategies`     propose masks and learn from their rewards
:mod:`~.reward`         quality, cost and constraint as one number
:mod:`~.cost`           what a mask costs: parameters, operations, milliseconds
:mod:`~.run`            a whole search: supernet, loop, ticket
:mod:`~.loop`           ask, score, tell, step by step, and resume
:mod:`~.settings`       what a config's ``search`` may say
:mod:`~.trace`          the file of all scored masks
:mod:`~.state`          the file that a stopped search resumes from
:mod:`~.confirm`        the leaders on all held-out images
:mod:`~.final`          the rules that choose among the trace
:mod:`~.pareto`         quality over cost, and picking from its front
:mod:`~.provenance`     what a ticket's file says of its search
:mod:`~.figure`         the search as a picture
======================  ===============================================================
"""

from ean_transfer.search.strategies import (
    EvolutionStrategy,
    ExhaustiveStrategy,
    GreedyStrategy,
    HeuristicStrategy,
    RandomStrategy,
    ReinforceStrategy,
    Strategy,
    SurrogateStrategy,
)
from ean_transfer.search.trace import TraceLine, read_trace

__all__ = [
    "EvolutionStrategy",
    "ExhaustiveStrategy",
    "GreedyStrategy",
    "HeuristicStrategy",
    "RandomStrategy",
    "ReinforceStrategy",
    "Strategy",
    "SurrogateStrategy",
    "TraceLine",
    "read_trace",
]
