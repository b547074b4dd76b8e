"""How many bytes a pass needs: those kept for the backward pass, and the most held at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet, finalize

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Saved:
    """A saved tensor; it lives as long as the graph that holds it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def bytes_saved_for_backward(function: Callable[..., Any], *inputs: Any) -> int:
    """Bytes that the graph of ``function(*inputs)`` keeps for the backward pass.

    Every storage counts once and whole, however many operations saved it or a view of it, also an
    input that is saved. What exists without the graph does not count: trainable parameters, and
    all parameters and buffers where ``function`` is a module. Only what autograd itself saves is
    seen, also through ``ctx.save_for_backward``, but no tensor that is an attribute of ``ctx``.

    The function runs once, with gradients and in the mode that it is in, so a BatchNorm in training
    mode updates its running statistics. Nothing is computed backwards. Works on any device,
    ``meta`` as well.

    Args:
        function: A module, or any function of tensors.
        *inputs: What it is called with.
    """
    saved: WeakSet[_Saved] = WeakSet()

    def pack(tensor: Tensor) -> _Saved:
        holder = _Saved(tensor)
        saved.add(holder)
        return holder

    with torch.enable_grad(), saved_tensors_hooks(pack, lambda holder: holder.tensor):
        outputs = function(*inputs)
    held = set(map(_storage, _trained(outputs)))
    if isinstance(function, nn.Module):
        held.update(map(_storage, [*function.parameters(), *function.buffers()]))
    sizes = {_storage(one.tensor): one.tensor.untyped_storage().nbytes() for one in saved}
    return sum(size for storage, size in sizes.items() if storage not in held)


def _storage(tensor: Tensor) -> int:
    """The identity of a tensor's storage; unlike its address, also on the meta device."""
    return tensor.untyped_storage()._cdata


def _trained(outputs: Any) -> Iterator[nn.Parameter]:
    """The parameters that the graph of some outputs ends in."""
    leaves = (leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor))
    nodes = [leaf.grad_fn for leaf in leaves if leaf.grad_fn is not None]
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        variable = getattr(node, "variable", None)
        if isinstance(variable, nn.Parameter):
            yield variable
        following = {edge for edge, _ in node.next_functions if edge is not None} - seen
        seen |= following
        nodes += following


def peak_bytes(function: Callable[..., Any], *inputs: Any) -> int:
    """Most bytes that ``function(*inputs)`` holds at a time, on top of what was held before.

    On CUDA it is what the allocator reports, workspaces of kernels included. Elsewhere the storages
    of all operations' results are counted as they come and go, a count without noise; what kernels
    allocate within themselves, and what compiled code allocates, is not seen there.

    Args:
        function: Any function of tensors.
        *inputs: What it is called with.
    """
    device = next((leaf.device for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)), None)
    if device is not None and device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        function(*inputs)
        return torch.cuda.max_memory_allocated(device) - before
    held = _Held({_storage(leaf) for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)})
    with held:
        function(*inputs)
    return held.peak


class _Held(TorchDispatchMode):
    """Counts the bytes of the storages that operations make and that are still held.

    Args:
        known: Storages that are not counted.
    """

    def __init__(self, known: set[int]) -> None:
        super().__init__()
        self.held = dict.fromkeys(known, 0)  # storage -> bytes
        self.bytes = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor):  # what comes from elsewhere, such as parameters
                self.held.setdefault(_storage(tensor), 0)
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.held:
            self.held[storage._cdata] = storage.nbytes()
            self.bytes += storage.nbytes()
            self.peak = max(self.peak, self.bytes)
            finalize(storage, self._free, storage._cdata)

    def _free(self, storage: int) -> None:
        self.bytes -= self.held.pop(storage)
