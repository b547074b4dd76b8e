"""Products and pools of maps, with gradients written by hand that make few passes over memory.

On a CPU most of an attention's time goes into maps of x's size: into writing each new one, and
into reading it again once it has left the cache. So in training, the functions below work on a few
images at a time, keep nothing but their inputs for the backward pass, and add one gradient to
another in place. In a graph that is compiled or traced, and without gradients on contiguous maps,
they are the plain formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from math import prod
from typing import Any

import torch
from torch import Tensor

VALUES_AT_ONCE = 2**19
"""Values of a map that are worked on at once on a CPU: 2 MB, for which the calls cost little."""

Pool = tuple[str, tuple[int, ...]]
"""``"mean"`` or ``"amax"``, and the axes it is taken over, such as ``("mean", (2, 3))``."""


def becomes_graph() -> bool:
    """Whether what is computed now is compiled, exported, traced or transformed (torch.func)."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
    )


def must_keep() -> bool:
    """Whether maps may not be overwritten: gradients need them, or a graph is made, which is to be
    the same with gradients and without (torch.jit.trace compares both)."""
    return torch.is_grad_enabled() or becomes_graph()


def is_plain(x: Tensor) -> bool:
    """Whether a formula on x is to be plain: where a graph is made, or pieces cost more than help.

    They do for one contiguous image without gradients. Channels-last they help also then.
    """
    return becomes_graph() or (x.is_contiguous() and not torch.is_grad_enabled())


def product(x: Tensor, *gates: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """``x * gate``, or ``x * gate * gate``.

    Args:
        x: A map (N, C, H, W), or (N, G, C/G, H, W).
        *gates: With as many axes as x, N first; 1 along those that they are the same for.
        shortcut: What to add, see :func:`add_product`.

    Returns:
        A map of x's shape and layout.
    """
    if shortcut is not None:
        return add_product(shortcut, x, *gates)
    if is_plain(x):
        return _product(x, *gates)
    x = dense(x)
    # In x's layout, or products and sums along the gates' axes of size 1 take ten times as long
    return _Product.apply(x, *(gate.contiguous(memory_format=_layout(x)) for gate in gates))


def times(y: Tensor, gate: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """``y * gate``, in the memory of y unless that must be kept.

    Args:
        y: A map that nobody else uses, such as a product; never a module's input.
        gate: See :func:`product`.
        shortcut: What to add, see :func:`add_product`.
    """
    if shortcut is not None:
        return add_product(shortcut, y, gate)
    return product(y, gate) if must_keep() else y.mul_(gate)


def add_product(shortcut: Tensor, x: Tensor, *gates: Tensor) -> Tensor:
    """``shortcut + x * gate``, in the memory of x. For inference: it has no gradient.

    Args:
        shortcut: A map of x's shape.
        x: A map that nobody else uses.
        *gates: See :func:`product`.
    """
    *before, last = gates
    for gate in before:
        x.mul_(gate)
    return torch.addcmul(shortcut, x, last, out=x)


def pooled(x: Tensor, *pools: Pool, gate: Tensor | None = None) -> tuple[Tensor, ...]:
    """A map, or its product with a gate, and means or maxima of it.

    Equal largest values share the gradient of their maximum.

    Args:
        x: A map (N, C, H, W).
        *pools: What to pool.
        gate: See :func:`product`; what is pooled is ``x * gate``.

    Returns:
        The map, to be used for one product, or one product in another ``pooled``, and nothing
        else: the pools' gradients are added to its own in place. Then one tensor per pool, whose
        axes that were pooled have size 1.
    """
    if is_plain(x):
        return _pooled(x, gate, pools)
    x = dense(x)
    gate = None if gate is None else gate.contiguous(memory_format=_layout(x))
    return _Pooled.apply(x, gate, pools)


def by_images(x: Tensor, *maps: Tensor, scratch: int = 0) -> Iterator[tuple[Tensor, ...]]:
    """Yield the maps of a few images at a time, on devices other than a CPU those of all.

    Args:
        x: A map (N, C, H, W), whose size says how many are few.
        *maps: Other tensors with N images.
        scratch: Number of maps like x's to write intermediate results to, yielded behind the
            others. They are the same memory each time: new memory costs more than a pass.
    """
    images = len(x)
    if x.device.type == "cpu":
        images = min(images, max(1, VALUES_AT_ONCE // max(1, x.shape[1:].numel())))
    spare = [torch.empty_like(x[:images]) for _ in range(scratch)]
    for parts in zip(*(y.split(max(1, images)) for y in (x, *maps)), strict=True):
        yield *parts, *(space[: len(parts[0])] for space in spare)


def gradients_of(
    formula: Callable[..., Any], inputs: Sequence[Tensor], gradients: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again: those of the plain formula.

    Args:
        formula: From the inputs to the outputs.
        inputs: Tensors, some of which require a gradient.
        gradients: Those of the outputs.

    Returns:
        One per input; ``None`` for an input that needs none.
    """
    with torch.enable_grad():
        outputs = formula(*inputs)
        wanted = [t for t in inputs if t.requires_grad]
        results = iter(torch.autograd.grad(outputs, wanted, gradients, create_graph=True))
    return tuple(next(results) if t.requires_grad else None for t in inputs)


def dense(x: Tensor) -> Tensor:
    """x, or a contiguous copy if x is neither contiguous nor channels-last.

    Called before an ``apply`` and not in its ``forward``: a copy that is made and saved there is
    cut off from its original where gradients are to be differentiated again.
    """
    return x.contiguous(memory_format=_layout(x))


def _layout(x: Tensor) -> torch.memory_format:
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last and not x.is_contiguous() else torch.contiguous_format


# -- product -------------------------------------------------------------------------------------


def _product(x: Tensor, *gates: Tensor) -> Tensor:
    y = x * gates[0]
    return reduce(torch.mul if must_keep() else torch.Tensor.mul_, gates[1:], y)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *gates: Tensor) -> Tensor:
        ctx.save_for_backward(x, *gates)
        y = torch.empty_like(x)
        for part, out, first, *rest in by_images(x, y, *gates):
            torch.mul(part, first, out=out)
            for gate in rest:
                out.mul_(gate)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, *gates = ctx.saved_tensors
        if torch.is_grad_enabled():  # they are to be differentiated again
            return gradients_of(_product, (x, *gates), gradients)
        of_x, of_gates = torch.empty_like(x), [torch.empty_like(gate) for gate in gates]
        for part, dy, dx, *rest, spare in by_images(
            x, *gradients, of_x, *gates, *of_gates, scratch=1
        ):
            factors, sums = rest[: len(gates)], rest[len(gates) :]
            torch.mul(dy, part, out=spare)
            if len(gates) == 2:
                _sum_along(torch.mul(spare, factors[1], out=dx), sums[0])
                _sum_along(spare.mul_(factors[0]), sums[1])
                torch.mul(dy, torch.mul(*factors, out=spare), out=dx)
            else:
                _sum_along(spare, sums[0])
                torch.mul(dy, factors[0], out=dx)
        return of_x, *of_gates


def _sum_along(x: Tensor, out: Tensor) -> None:
    """Sum over the axes that have size 1 in the result, but for the images."""
    axes = [axis for axis in range(1, x.dim()) if out.shape[axis] == 1]
    torch.sum(x, axes, keepdim=True, out=out)


# -- pools ---------------------------------------------------------------------------------------


def _pooled(x: Tensor, gate: Tensor | None, pools: Sequence[Pool]) -> tuple[Tensor, ...]:
    x = x if gate is None else x * gate
    return x, *(getattr(x, kind)(dim=axes, keepdim=True) for kind, axes in pools)


class _Pooled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor | None, pools: Sequence[Pool]) -> Any:
        gates = [] if gate is None else [gate]
        y = torch.empty_like(x) if gates else x.view_as(x)
        shapes = [[1 if d in axes else n for d, n in enumerate(x.shape)] for _, axes in pools]
        results = [x.new_empty(s).contiguous(memory_format=_layout(x)) for s in shapes]
        for part, out, *rest in by_images(x, y, *results, *gates):
            if gates:
                torch.mul(part, rest[-1], out=out)
            for (kind, axes), result in zip(pools, rest, strict=False):
                getattr(torch, kind)(out, axes, keepdim=True, out=result)
        ctx.pools = pools
        ctx.save_for_backward(x, *gates, y, *results)
        return y, *results

    @staticmethod
    def backward(ctx: Any, of_y: Tensor, *of_pools: Tensor) -> Any:
        number = len(of_pools)
        saved = ctx.saved_tensors
        (*inputs, y), results = saved[:-number], saved[-number:]
        if torch.is_grad_enabled():

            def formula(x: Tensor, gate: Tensor | None = None) -> tuple[Tensor, ...]:
                return _pooled(x, gate, ctx.pools)

            gradients = gradients_of(formula, inputs, (of_y, *of_pools))
            return gradients[0], gradients[1] if len(inputs) == 2 else None, None
        of_gates = [torch.empty_like(gate) for gate in inputs[1:]]
        for part, dy, *rest, spare in by_images(
            y, of_y, *results, *of_pools, *inputs, *of_gates, scratch=1
        ):
            of_means = []
            for (kind, axes), value, gradient in zip(ctx.pools, rest, rest[number:], strict=False):
                if kind == "mean":
                    of_means.append(gradient / prod(y.shape[axis] for axis in axes))
                else:
                    largest = torch.eq(part, value, out=spare)
                    dy.addcmul_(largest, gradient / largest.sum(dim=axes, keepdim=True))
            if len(of_means) == 2:
                dy.add_(torch.add(*of_means, out=spare))
            elif of_means:
                dy.add_(of_means[0])
            if of_gates:
                x, gate, of_gate = rest[2 * number :]
                _sum_along(torch.mul(x, dy, out=spare), of_gate)
                dy.mul_(gate)
        return of_y, of_gates[0] if of_gates else None, None
