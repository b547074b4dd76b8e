"""Searching for a ticket: strategies, rewards, the loop, and the rules for the final ticket."""

from ean_transfer.search.evolution import EvolutionStrategy
from ean_transfer.search.exhaustive import ExhaustiveStrategy
from ean_transfer.search.gates import GatesStrategy
from ean_transfer.search.greedy import GreedyStrategy
from ean_transfer.search.heuristics import HeuristicStrategy
from ean_transfer.search.loop import SearchLoop
from ean_transfer.search.random_search import RandomStrategy
from ean_transfer.search.reinforce import ReinforceStrategy
from ean_transfer.search.strategy import Strategy
from ean_transfer.search.surrogate import SurrogateStrategy
from ean_transfer.search.trace import TraceLine, read_trace

__all__ = [
    "EvolutionStrategy",
    "ExhaustiveStrategy",
    "GatesStrategy",
    "GreedyStrategy",
    "HeuristicStrategy",
    "RandomStrategy",
    "ReinforceStrategy",
    "SearchLoop",
    "Strategy",
    "SurrogateStrategy",
    "TraceLine",
    "read_trace",
]
