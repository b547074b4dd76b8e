"""All of the toolkit's mmengine hooks, one per file; importing this package registers them.

============================  ==================================================================
:mod:`~.channels_last`        train in the memory format that is faster
:mod:`~.class_count`          refuse a head with another number of classes than the data
:mod:`~.freeze_norm`          fix BatchNorm statistics late in a training
:mod:`~.progress`             show a progress bar
:mod:`~.random_masks`         train a supernet under random masks
:mod:`~.resources`            measure time and peak memory of a training
:mod:`~.stripes`              score attention's stripes while a network trains
:mod:`~.ticket`               write tickets into checkpoints, and compare them when loading
============================  ==================================================================
"""

from ean_transfer.engine.hooks.channels_last import ChannelsLastHook
from ean_transfer.engine.hooks.class_count import ClassCountHook
from ean_transfer.engine.hooks.freeze_norm import FreezeNormHook
from ean_transfer.engine.hooks.progress import ProgressBarHook
from ean_transfer.engine.hooks.random_masks import RandomMaskHook
from ean_transfer.engine.hooks.resources import ResourceHook
from ean_transfer.engine.hooks.stripes import StripeHook
from ean_transfer.engine.hooks.ticket import TicketHook

__all__ = [
    "ChannelsLastHook",
    "ClassCountHook",
    "FreezeNormHook",
    "ProgressBarHook",
    "RandomMaskHook",
    "ResourceHook",
    "StripeHook",
    "TicketHook",
]
