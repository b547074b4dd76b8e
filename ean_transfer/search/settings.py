"""What of a search's settings can be refused before anything is trained, scored or removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ean_transfer.errors import ConfigError
from ean_transfer.search.cost.measuring import check_measuring
from ean_transfer.search.cost.table import load_cost_table
from ean_transfer.search.reward import check_reward, costs_of
from ean_transfer.supernet.evaluation import BN_STATISTICS
from ean_transfer.ticket import Ticket

_COUNTS = ("steps", "masks_per_step", "images", "confirm", "last_steps", "supernets")
_LATENCY = ("file", "input_shape", "rounds", "method")


def check_settings(settings: Mapping[str, Any], network: Ticket) -> None:
    """Refuse settings of :class:`~ean_transfer.search.SearchLoop` that make no search.

    The strategy is checked by building it.

    Args:
        settings: A config's ``search``; what is left out has its default.
        network: The supernet's ticket.

    Raises:
        ConfigError: For the first that is not valid.
    """
    counts = {name: settings[name] for name in _COUNTS if name in settings}
    if settings.get("images") is None:  # all of them
        counts.pop("images", None)
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ConfigError(f"search.{name} is a whole number, at least 1, found {count!r}")
    if (bn := settings.get("bn", BN_STATISTICS[0])) not in BN_STATISTICS:
        raise ConfigError(f"search.bn is one of {', '.join(BN_STATISTICS)}, found {bn!r}")
    check_reward(settings["reward"])
    latency = settings.get("latency")
    if latency is not None:
        _check_latency(latency, network, needed="latency" in costs_of(settings["reward"]))


def _check_latency(latency: Any, network: Ticket, needed: bool) -> None:
    if not isinstance(latency, Mapping) or set(latency) - set(_LATENCY):
        raise ConfigError(f"search.latency is a dict of {', '.join(_LATENCY)}, found {latency!r}")
    options = dict(latency)
    file = options.pop("file", None)
    check_measuring(**options)
    if needed and file is not None:
        load_cost_table("latency", file, network)
