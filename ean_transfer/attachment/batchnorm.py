"""Folds BatchNorm into the convolution before it, for inference; attention behind it is kept.

Which BatchNorm follows which convolution is read off one forward, operation by operation, and not
off names or the order of modules. So it works on networks of any make, and a pair is certain: the
BatchNorm gets the very output of ``aten.convolution`` with the convolution's own weight, and
nothing else reads that output or that weight. A BatchNorm without such a convolution stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from ean_transfer.attachment.attached import AttachedAttention, follow_layers
from ean_transfer.attachment.hook import Recalibration
from ean_transfer.attachment.network import evaluating, find_ticket, masked
from ean_transfer.errors import CheckpointError

FOLDED_NORMS = "folded_norms"
"""Key of a checkpoint's meta: name of each BatchNorm that is folded away -> its convolution's."""
_PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_NORMS_WITH_ACTIVATION = ("BatchNormAct2d",)  # timm's: dropout and activation come with it


@torch.no_grad()
def fold_norms(model: nn.Module, inputs: tuple[Any, ...]) -> dict[str, str]:
    """Fold each BatchNorm that certainly follows a convolution into it, in place.

    The convolution gets ``W' = W gamma / sigma`` and ``b' = beta + (b - mu) gamma / sigma``,
    computed in float64. The BatchNorm's place is taken by the identity, or by the activation that
    came with it, and attention that was attached to it is attached there. A BatchNorm stays if
    another hook is registered on it.

    Args:
        model: The model; it is run once in eval mode, in which the result computes the same.
        inputs: Arguments that it is called with.

    Returns:
        Name of each BatchNorm that was folded -> name of the convolution, in forward order.
    """
    with evaluating(model), _every_connection(model):
        pairs = _certain_pairs(model, inputs)
    for norm, conv in pairs.items():
        _fold(norm, conv)
    names = {module: name for name, module in model.named_modules()}
    folded = {names[norm]: names[conv] for norm, conv in pairs.items()}
    _drop(model, folded)
    return folded


def norms_of(model: nn.Module) -> list[str]:
    """Names of a model's BatchNorms."""
    return [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]


def _every_connection(model: nn.Module) -> AbstractContextManager[Any]:
    """Yield with all attention in use: a later mask may put one between a pair."""
    ticket = find_ticket(model)
    return nullcontext() if ticket is None else masked(model, ticket)


# -- checkpoints -----------------------------------------------------------------------------------


def take_foldings(model: nn.Module, checkpoint: Mapping[str, Any], source: str) -> None:
    """Give a model the layers of a checkpoint whose BatchNorm is folded, to load its weights.

    Args:
        model: The model, changed in place; a BatchNorm that is folded already is left out.
        checkpoint: The checkpoint; without folded layers nothing happens.
        source: The checkpoint's name in messages.

    Raises:
        CheckpointError: The checkpoint folds layers that the model does not have.
    """
    modules = dict(model.named_modules())
    folded = (checkpoint.get("meta") or {}).get(FOLDED_NORMS) or {}
    for norm, conv in folded.items():
        if norm not in modules or not isinstance(modules.get(conv), _ConvNd):
            raise CheckpointError(
                f"{source}: its BatchNorm {norm} is folded into the convolution {conv}, and the "
                "network has no such layers: it is the checkpoint of another network"
            )
    _drop(model, {n: c for n, c in folded.items() if isinstance(modules[n], _BatchNorm)})


def require_norms(
    model: nn.Module,
    checkpoint: Mapping[str, Any],
    source: str,
    parts: Sequence[str] = ("",),
) -> None:
    """Refuse weights whose BatchNorm is folded away for a model that has it.

    Args:
        model: The model.
        checkpoint: The checkpoint.
        source: The checkpoint's name in messages.
        parts: Prefixes, one of which the model's names may have in the checkpoint.

    Raises:
        CheckpointError: The model has a BatchNorm that the checkpoint has folded.
    """
    folded = (checkpoint.get("meta") or {}).get(FOLDED_NORMS) or {}
    if any(part + norm in folded for norm in norms_of(model) for part in parts):
        raise CheckpointError(
            f"{source}: expected weights to train with, found BatchNorm folded away for inference "
            "(--optimize): start from the checkpoint that it was exported from"
        )


# -- which follows which ---------------------------------------------------------------------------


@dataclass
class _Output:
    """The output of one call of a convolution.

    Attributes:
        conv: The convolution.
        norm: The BatchNorm that was called with it.
        is_read: Whether anything else reads it.
    """

    conv: _ConvNd
    norm: nn.Module | None = None
    is_read: bool = False


class _Watch(TorchDispatchMode):
    """Follows the outputs of a model's convolutions through its operations."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.convs: Any = WeakIdKeyDictionary()  # weight -> the only convolution that has it
        self.outputs: list[_Output] = []
        self.living: Any = WeakIdKeyDictionary()  # output tensor, as long as anything holds it
        self.inputs: dict[nn.Module, list[_ConvNd | None]] = defaultdict(list)
        self.running: nn.Module | None = None  # the BatchNorm
        shared = set()
        for conv in (module for module in model.modules() if isinstance(module, _ConvNd)):
            weight = conv._parameters.get("weight")  # a parametrised one is computed
            if weight is not None and weight in self.convs:
                shared.add(weight)
            elif weight is not None:
                self.convs[weight] = conv
        for weight in shared:
            del self.convs[weight]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        conv = None
        read = tree_leaves((args, kwargs))
        if func is torch.ops.aten.convolution.default:
            _, weight, bias, *_, transposed, _, _ = args
            conv = self.convs.get(weight)
            if conv is not None and not transposed and bias is conv.bias:
                output = self.living[result] = _Output(conv)
                self.outputs.append(output)
                read = [leaf for leaf in read if leaf is not weight]
        for tensor in (leaf for leaf in read if isinstance(leaf, Tensor)):
            self.convs.pop(tensor, None)  # a weight that is read otherwise must stay what it is
            output = self.living.get(tensor)
            if output is not None and (self.running is None or output.norm is not self.running):
                output.is_read = True
        return result

    def enter(self, norm: nn.Module, args: tuple[Any, ...]) -> None:
        """Called before a BatchNorm runs."""
        output = self.living.get(args[0]) if isinstance(args[0], Tensor) else None
        self.inputs[norm].append(output and output.conv)
        if output is not None:
            output.is_read |= output.norm is not None
            output.norm = norm
        self.running = norm

    def leave(self, *_: Any) -> None:
        """Called after a BatchNorm ran."""
        self.running = None


def _certain_pairs(model: nn.Module, inputs: tuple[Any, ...]) -> dict[nn.Module, _ConvNd]:
    """Each BatchNorm that certainly follows a convolution, in forward order."""
    watch = _Watch(model)
    norms = [module for module in model.modules() if _can_be_folded(module)]
    handles = [norm.register_forward_pre_hook(watch.enter) for norm in norms]
    handles += [norm.register_forward_hook(watch.leave) for norm in norms]
    try:
        with watch:
            outputs = model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    for output in watch.living.values():  # the model's own outputs, or kept by a hook
        output.is_read = True
    del outputs
    certain = set(watch.convs.values())
    followed: dict[_ConvNd, set[nn.Module | None]] = defaultdict(set)
    for output in watch.outputs:
        followed[output.conv].add(None if output.is_read else output.norm)
    return {
        norm: conv
        for conv, (norm, *others) in followed.items()
        if norm is not None and not others and conv in certain and {*watch.inputs[norm]} == {conv}
    }


def _can_be_folded(module: nn.Module) -> bool:
    """Whether a module is a BatchNorm with fixed statistics, and no hook but attention on it."""
    is_norm = type(module) in _PLAIN_NORMS or type(module).__name__ in _NORMS_WITH_ACTIVATION
    hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
    return is_norm and module.running_mean is not None and all(map(_is_attention, hooks))


def _is_attention(hook: Any) -> bool:
    """Whether a hook was registered by attention that is attached."""
    owner = getattr(hook, "__self__", None)  # of a method
    return isinstance(hook, Recalibration) or isinstance(owner, AttachedAttention)


# -- the layers ------------------------------------------------------------------------------------


def _fold(norm: Any, conv: _ConvNd) -> None:
    """Multiply a BatchNorm into a convolution; the BatchNorm is left where it is."""
    weight, mean, var = (t.double() for t in (conv.weight, norm.running_mean, norm.running_var))
    bias, gamma, beta = (
        None if t is None else t.double() for t in (conv.bias, norm.weight, norm.bias)
    )
    folded = fuse_conv_bn_weights(weight, bias, mean, var, norm.eps, gamma, beta)
    conv.weight, conv.bias = (
        nn.Parameter(value.to(conv.weight.dtype), conv.weight.requires_grad) for value in folded
    )


def _drop(model: nn.Module, folded: Mapping[str, str]) -> None:
    """Put what is left of each folded BatchNorm in its place, and give each convolution a bias."""
    modules = dict(model.named_modules())
    remains = {modules[norm]: _remains(modules[norm]) for norm in folded}
    for conv in (modules[conv] for conv in folded.values()):
        if conv.bias is None:
            bias = conv.weight.new_zeros(len(conv.weight))
            conv.bias = nn.Parameter(bias, conv.weight.requires_grad)
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in remains:
            model.set_submodule(name, remains[module])
    follow_layers(model)


def _remains(norm: Any) -> nn.Module:
    """What a BatchNorm does after the normalisation."""
    if type(norm).__name__ in _NORMS_WITH_ACTIVATION:
        return nn.Sequential(norm.drop, norm.act)
    return nn.Identity()
