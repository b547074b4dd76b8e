"""Channels of a model's neck and heads: those of the maps that the backbone gives.

A config need not say ``in_channels``, so that another depth or another backbone is one change.
"""

from __future__ import annotations

import copy
import inspect
import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor
from torch.overrides import TorchFunctionMode

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next import quiet
from ean_transfer.backbones import TICKETED
from ean_transfer.engine.pipelines import kind_of
from ean_transfer.errors import ConfigError

Maps = tuple[Tensor, ...]
_PARTS = ("neck", "decode_head", "auxiliary_head", "head")  # in the order in which maps pass
_TICKETED = [family.__name__ for family in TICKETED]
_MISFITS = (RuntimeError, IndexError, AssertionError)  # of layers and necks on such maps
_KNOWN: dict[str, Maps | None] = {}
_SIDE = 224  # pixels of the trial input: networks of a fixed size have this one


def set_channels(cfg: Config) -> None:
    """Set the channels that a model's neck and heads read, where the config does not say them.

    The backbone and the neck are built without memory (on torch's device ``meta``) and run once. A
    model whose backbone cannot be built or run so is left as it is.

    Args:
        cfg: The config, which is changed.

    Raises:
        ConfigError: The config says channels, or an index of a map, that the backbone does not
            give.
    """
    model = cfg.get("model")
    parts = list(_parts(model)) if isinstance(model, dict) else []
    backbone = model.get("backbone") if parts else None
    if not isinstance(backbone, dict) or not any(_arguments(part) for _, part in parts):
        return
    maps = _maps_of(backbone)
    for key, part in parts:
        if maps is None:
            return
        is_neck = key == "model.neck"
        wrong = _set_missing(part, maps, is_neck)
        output, error = _run(part, maps) if wrong or is_neck else (None, None)
        if wrong and isinstance(error, _MISFITS) and not isinstance(error, NotImplementedError):
            name, channels = wrong
            given = ", ".join(str(one.shape[1]) for one in maps)
            remedy = "another in_index" if channels is None else f"{channels}, or leave it out"
            raise ConfigError(
                f"{cfg.filename}: {key}.{name} is {part[name]}, but the maps that it is given have "
                f"{given} channels: set {remedy}"
            ) from error
        maps = output if is_neck else maps


def _maps_of(backbone: dict[str, Any]) -> Maps | None:
    """A backbone's maps of an image; those of the same config are made once in a process."""
    plain = Config({"backbone": backbone}).to_dict()
    key = json.dumps(plain, default=repr, sort_keys=True)
    if key not in _KNOWN:
        backbone = copy.deepcopy(backbone)
        if kind_of(backbone) in _TICKETED:
            backbone.update(ticket="none")  # attention keeps a map's shape
        channels = backbone.get("in_channels", 3)
        _KNOWN[key], _ = _run(backbone, torch.empty(1, channels, _SIDE, _SIDE, device="meta"))
    return _KNOWN[key]


def _parts(model: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The keys and configs of the neck and the heads, of which a model may have several."""
    for name in _PARTS:
        value = model.get(name)
        if isinstance(value, dict):
            yield f"model.{name}", value
        elif isinstance(value, (list, tuple)):
            several = ((f"model.{name}.{index}", part) for index, part in enumerate(value))
            yield from (item for item in several if isinstance(item[1], dict))


def _arguments(part: dict[str, Any]) -> dict[str, inspect.Parameter]:
    """The arguments of a part's class that are channels; ``c1`` is DeepLabV3+'s first map."""
    kind = part.get("type")
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    arguments: dict[str, inspect.Parameter] = {}
    for base in reversed(getattr(kind, "__mro__", ())):  # a class hands keywords on to its base
        arguments |= inspect.signature(base.__init__).parameters
    return {
        name: arguments[name] for name in ("in_channels", "c1_in_channels") if name in arguments
    }


def _set_missing(part: dict[str, Any], maps: Maps, is_neck: bool) -> tuple[str, Any] | None:
    """Set channels that are missing; return the first that is there and another than expected."""
    wrong = None
    widths = [one.shape[1] for one in maps]
    for name, argument in _arguments(part).items():
        index: Any = 0 if name == "c1_in_channels" else part.get("in_index", -1)
        if is_neck and argument.annotation not in (int, "int"):
            index = range(len(widths))
        several = isinstance(index, (list, tuple, range))
        channels: Any = None
        with suppress(IndexError):
            channels = [widths[i] for i in index] if several else widths[index]
        if part.get(name) is None and channels is not None:
            if argument.default in (argument.empty, None):
                part[name] = channels
        elif part.get(name) not in (channels, tuple(channels) if several and channels else None):
            wrong = wrong or (name, channels)
    return wrong


def _run(part: dict[str, Any], inputs: Any) -> tuple[Maps | None, Exception | None]:
    """What a part makes of inputs on the device ``meta``; or the error that it raises.

    Returns:
        The maps, ``None`` where it does not make such, and the error.
    """
    try:
        with warnings.catch_warnings(), torch.random.fork_rng([]), torch.no_grad():
            warnings.simplefilter("ignore")
            with _EmptyLayers():
                layers = MODELS.build(copy.deepcopy(part)).to("meta")
            layers.eval()  # which some of mmpretrain's networks do not return
            output = layers(inputs)
    except Exception as error:  # if it matters, the building of the model raises it again
        return None, error
    maps = (output,) if isinstance(output, Tensor) else tuple(output)
    return (maps if all(isinstance(one, Tensor) and one.ndim > 1 for one in maps) else None), None


class _EmptyLayers(TorchFunctionMode):
    """Context in which layers get weights without memory, which spares drawing their values.

    ``torch.device("meta")`` would do the same to everything, but backbones compute with numbers
    that they take from tensors, such as the rates of stochastic depth.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func in (torch.empty, torch.zeros, torch.ones) and options.get("device") is None:
            options["device"] = "meta"
        return func(*args, **options)
