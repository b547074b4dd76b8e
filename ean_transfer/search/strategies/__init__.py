"""Strategies: they propose masks, and learn from rewards; no network in sight.

======================  ===============================================================
:mod:`~.base`           what every strategy is, and building one from a config
:mod:`~.surrogate`      a Bayesian model of the reward (the default)
:mod:`~.posterior`      the model's Gaussian process
:mod:`~.reinforce`      the papers' policy gradient
:mod:`~.evolution`      mutation and crossover
:mod:`~.greedy`         block by block
:mod:`~.random`         uniform draws
:mod:`~.exhaustive`     every mask
:mod:`~.heuristics`     the schemes that people write by hand
======================  ===============================================================
"""

from ean_transfer.search.strategies.base import Strategy, build_strategy
from ean_transfer.search.strategies.evolution import EvolutionStrategy
from ean_transfer.search.strategies.exhaustive import ExhaustiveStrategy
from ean_transfer.search.strategies.greedy import GreedyStrategy
from ean_transfer.search.strategies.heuristics import HeuristicStrategy
from ean_transfer.search.strategies.random import RandomStrategy
from ean_transfer.search.strategies.reinforce import ReinforceStrategy
from ean_transfer.search.strategies.surrogate import SurrogateStrategy

__all__ = [
    "EvolutionStrategy",
    "ExhaustiveStrategy",
    "GreedyStrategy",
    "HeuristicStrategy",
    "RandomStrategy",
    "ReinforceStrategy",
    "Strategy",
    "SurrogateStrategy",
    "build_strategy",
]
