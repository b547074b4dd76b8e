"""All of the toolkit's mmengine hooks, one per file; importing this package registers them.

============================  ==================================================================
:mod:`~.channels_last`        train in the memory format that is faster
:mod:`~.checkpoints`          save checkpoints so that a good one is never lost
:mod:`~.class_count`          refuse a head with another number of classes than the data
:mod:`~.compiled`             train a backbone that torch.compile has compiled
:mod:`~.draws`                make random draws independent of where a training was resumed
:mod:`~.early_stop`           stop a training that no longer gets better
:mod:`~.finite`               stop a training or test where a loss or prediction is NaN or infinite
:mod:`~.freeze_backbone`      train the backbone later than the head, or never
:mod:`~.freeze_norm`          fix BatchNorm statistics late in a training
:mod:`~.label_survey`         look at a training set's labels before the first iteration
:mod:`~.overview`             say what is trained or tested, and what came out
:mod:`~.progress`             show a progress bar
:mod:`~.random_masks`         train a supernet under random masks
:mod:`~.resources`            measure time and peak memory of a training
:mod:`~.same_buffers`         validate one network in several processes, the one that is saved
:mod:`~.schedule`             let a longer training follow its config's schedule
:mod:`~.stop`                 save and exit on SIGTERM, SIGUSR1 and Ctrl-C
:mod:`~.stripes`              score attention's stripes while a network trains
:mod:`~.ticket`               write tickets into checkpoints, and compare them when loading
:mod:`~.validation_loss`      compute the training's loss on the validation images
============================  ==================================================================
"""

from ean_transfer.engine.hooks.channels_last import ChannelsLastHook
from ean_transfer.engine.hooks.checkpoints import KeptCheckpointHook
from ean_transfer.engine.hooks.class_count import ClassCountHook
from ean_transfer.engine.hooks.compiled import CompileHook
from ean_transfer.engine.hooks.draws import DrawsHook
from ean_transfer.engine.hooks.early_stop import EarlyStopHook
from ean_transfer.engine.hooks.finite import FiniteLossHook, FinitePredictionHook
from ean_transfer.engine.hooks.freeze_backbone import FreezeBackboneHook
from ean_transfer.engine.hooks.freeze_norm import FreezeNormHook
from ean_transfer.engine.hooks.label_survey import LabelSurveyHook
from ean_transfer.engine.hooks.overview import OverviewHook
from ean_transfer.engine.hooks.progress import ProgressBarHook
from ean_transfer.engine.hooks.random_masks import RandomMaskHook
from ean_transfer.engine.hooks.resources import ResourceHook
from ean_transfer.engine.hooks.same_buffers import SameBuffersHook
from ean_transfer.engine.hooks.schedule import ScheduleHook
from ean_transfer.engine.hooks.stop import StopHook
from ean_transfer.engine.hooks.stripes import StripeHook
from ean_transfer.engine.hooks.ticket import TicketHook
from ean_transfer.engine.hooks.validation_loss import ValidationLossHook

__all__ = [
    "ChannelsLastHook",
    "ClassCountHook",
    "CompileHook",
    "DrawsHook",
    "EarlyStopHook",
    "FiniteLossHook",
    "FinitePredictionHook",
    "FreezeBackboneHook",
    "FreezeNormHook",
    "KeptCheckpointHook",
    "LabelSurveyHook",
    "OverviewHook",
    "ProgressBarHook",
    "RandomMaskHook",
    "ResourceHook",
    "SameBuffersHook",
    "ScheduleHook",
    "StopHook",
    "StripeHook",
    "TicketHook",
    "ValidationLossHook",
]
