"""Places of one's own: modules that a user names, on whose output attention acts.

So attention can be attached where no residual block is known: to a VGG, a U-Net's decoder, a
detector's neck.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.attachment.families import ResidualBlock
from ean_transfer.attachment.network import evaluating
from ean_transfer.errors import ConfigError

EXAMPLE_SHAPE = (1, 3, 224, 224)
"""Shape of the example input that stands for one that was not given."""


def blocks_at(
    model: nn.Module, patterns: str | Sequence[str], example: Any = None
) -> list[ResidualBlock]:
    """Places by the names of modules: each is block and branch, attention acts on its output.

    The model runs once, in eval mode and without gradients, which shows the places' order and
    channels. A stage is a run of places with the same parent and the same number of channels.

    Args:
        model: The model.
        patterns: Names of modules, such as ``"neck.0"``, or patterns for them: ``*``, ``?`` and
            ``[...]`` stand for characters between two dots, so that ``"encoder.layer3.*"`` means
            the children of ``encoder.layer3`` and not the modules within these.
        example: What the model is called with: a tensor, such as images (N, C, H, W), or another
            argument, or a tuple of arguments. ``None``: zeros (1, 3, 224, 224).

    Returns:
        The places in forward order.

    Raises:
        ConfigError: A pattern matches nothing, two places are the same module or one lies within
            another, a place is not called or its output is not one tensor (N, C, H, W) with always
            the same number of channels, or the model fails on the example.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    matched = {pattern: _matched(model, pattern) for pattern in patterns}
    for problem in _name_problems(model, matched):
        raise ConfigError(problem)
    places = {name: module for modules in matched.values() for name, module in modules.items()}
    outputs = outputs_of(model, places, example)
    for problem in _output_problems(places, outputs):
        raise ConfigError(problem)

    blocks: list[ResidualBlock] = []
    stage, previous = -1, None
    for name, shapes in outputs.items():
        module, channels = places[name], shapes[0][1]
        run = (name.rpartition(".")[0], channels)
        if run != previous:
            stage, previous = stage + 1, run
        family = type(module).__name__
        blocks.append(ResidualBlock(name, stage, channels, family, module, module, is_named=True))
    return blocks


def outputs_of(
    model: nn.Module, modules: Mapping[str, nn.Module], example: Any
) -> dict[str, list[Any]]:
    """What modules return when the model runs once: name -> one entry per call.

    Args:
        model: The model.
        modules: Some of its modules by name.
        example: As in :func:`blocks_at`.

    Returns:
        The shape of each output, or the name of its type if it is no tensor; modules in the order
        in which the forward pass enters them, without those that are not called.

    Raises:
        ConfigError: The model fails on the example.
    """
    outputs: dict[str, list[Any]] = {}

    def enter(name: str, *_: Any) -> None:
        outputs.setdefault(name, [])

    def leave(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        outputs[name].append(shape)

    handles = [m.register_forward_pre_hook(partial(enter, name)) for name, m in modules.items()]
    handles += [m.register_forward_hook(partial(leave, name)) for name, m in modules.items()]
    try:
        run_example(model, example)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def run_example(model: nn.Module, example: Any) -> None:
    """Run a model in eval mode and without gradients.

    Raises:
        ConfigError: The model fails on the example.
    """
    arguments = example_arguments(model, example)
    try:
        with evaluating(model), torch.no_grad():
            model(*arguments)
    except Exception as error:  # whatever the forward of a network of others may raise
        given = f"zeros {EXAMPLE_SHAPE}" if example is None else "the example"
        raise ConfigError(
            f"{type(model).__name__} does not run on {given} ({_first_line(error)}): give an input "
            "that it takes as example=..."
        ) from error


def example_arguments(model: nn.Module, example: Any) -> tuple[Any, ...]:
    """What a model is called with: the example, or zeros on the model's device and of its dtype."""
    if example is None:
        first = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(0))
        example = torch.zeros(EXAMPLE_SHAPE, dtype=first.dtype, device=first.device)
    return example if isinstance(example, tuple) else (example,)


def _matched(model: nn.Module, pattern: str) -> dict[str, nn.Module]:
    """The modules that a pattern stands for, by name; without the model itself."""
    words = pattern.split(".")
    return {
        name: module
        for name, module in model.named_modules()
        if name.count(".") + 1 == len(words) and all(map(fnmatchcase, name.split("."), words))
    }


def _name_problems(
    model: nn.Module, matched: Mapping[str, Mapping[str, nn.Module]]
) -> Iterator[str]:
    """Yield why the patterns do not name places."""
    if not matched:
        yield "expected at least one name or pattern of modules to attach attention to, found none"
    chosen: dict[str, str] = {}  # name of a place -> its pattern
    for pattern, modules in matched.items():
        if not modules:
            names = [name for name, _ in model.named_modules()]
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.0)
            yield (
                f"{pattern!r} matches no module of {type(model).__name__}: expected a name or a "
                f"pattern such as {', '.join(near)}"
            )
        for name in modules:
            if name in chosen:
                yield f"{name} is named twice, by {chosen[name]!r} and {pattern!r}: name it once"
            chosen[name] = pattern
    for name in chosen:
        outer = next((other for other in chosen if name.startswith(f"{other}.")), None)
        if outer is not None:
            yield (
                f"{name} ({chosen[name]!r}) lies within {outer} ({chosen[outer]!r}): name one of "
                "them"
            )


def _output_problems(
    places: Mapping[str, nn.Module], outputs: Mapping[str, Sequence[Any]]
) -> Iterator[str]:
    """Yield why attention cannot act on the places' outputs."""
    for name, module in places.items():
        place = f"{name} ({type(module).__name__})"
        shapes = outputs.get(name, ())
        no_map = [shape for shape in shapes if isinstance(shape, str) or len(shape) != 4]
        if not shapes:
            yield f"{place} is not called when the model runs on the example: leave it out"
        elif no_map:
            yield f"{place}: expected an output (N, C, H, W), found {no_map[0]}: name another one"
        elif len(channels := sorted({shape[1] for shape in shapes})) > 1:
            yield (
                f"{place} is called {len(shapes)} times: expected always the same number of "
                f"channels, found {', '.join(map(str, channels))}: name another one"
            )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
