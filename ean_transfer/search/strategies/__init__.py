"""Strategies: they propose masks and learn from their rewards, without any network.

======================  ===============================================================
:mod:`~.base`           the base class, and building a strategy from a config
:mod:`~.surrogate`      a Bayesian model of the reward (the default)
:mod:`~.posterior`      the model's Gaussian process
:mod:`~.reinforce`      the papers' policy gradient
:mod:`~.evolution`      mutation and crossover
:mod:`~.greedy`         block by block
:mod:`~.random`         uniform draws
:mod:`~.planned`        masks known from the start: every mask, people's schemes
======================  ===============================================================
"""

from ean_transfer.search.strategies.base import Strategy, build_strategy
from ean_transfer.search.strategies.evolution import EvolutionStrategy
from ean_transfer.search.strategies.greedy import GreedyStrategy
from ean_transfer.search.strategies.planned import ExhaustiveStrategy, HeuristicStrategy
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
