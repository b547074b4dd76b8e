"""Searching for a ticket: strategies, rewards, costs, the loop, and the final choice.

Importing this package loads the strategies and no OpenMMLab package but mmengine.

======================  ===============================================================
:mod:`~.run`            a whole search: supernets, loop, ticket
:mod:`~.settings`       everything a config's ``search`` may say
:mod:`~.search`         ask, score, tell, step by step; needs no runner
:mod:`~.search_result`  what a search ends with: ticket, finalists, front, verdict, figure
:mod:`~.loop`           the search as a loop of mmengine's runner
:mod:`~.workers`        masks scored on several workers at once
:mod:`~.strategies`     propose masks and learn from their rewards
:mod:`~.reward`         quality, cost and constraint as one number
:mod:`~.quality`        what masks are compared by: the scorer's metric, or the loss
:mod:`~.constraint`     ``latency <= 1.08 x plain`` and the like
:mod:`~.cost`           what a mask costs: parameters, operations, milliseconds
:mod:`~.history`        the masks scored so far, and the best of them
:mod:`~.trace`          the file of all scored masks
:mod:`~.resume`         what a running search saves, and how a stopped one resumes
:mod:`~.state`          the file format of a strategy's state
:mod:`~.confirm`        the end: leaders on all held-out images, the choice of the ticket
:mod:`~.budget`         the ticket's time, measured again, against a budget on latency
:mod:`~.worthwhile`     none against full: is there anything to find?
:mod:`~.verdict`        what a finished search has shown, and what it has not
:mod:`~.pareto`         the front of quality over cost, and picking from it
:mod:`~.find`           find_ticket: a whole search in plain PyTorch
:mod:`~.state_file`     the one file that such a search continues from
:mod:`~.leak`           whether a test's images are those that were searched with
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
