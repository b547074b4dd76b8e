"""Searching for a ticket: strategies, the loop, and the rules for the final ticket."""

from ean_transfer.search.loop import SearchLoop
from ean_transfer.search.reinforce import ReinforceStrategy
from ean_transfer.search.strategy import Strategy
from ean_transfer.search.trace import TraceLine, read_trace

__all__ = ["ReinforceStrategy", "SearchLoop", "Strategy", "TraceLine", "read_trace"]
