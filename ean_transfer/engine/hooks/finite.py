"""Stops a training whose loss is not finite, and a test whose predictions are not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, all_reduce_params
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor

from ean_transfer.attachment.fitting import not_finite
from ean_transfer.engine.checkpoints import go_on_from
from ean_transfer.errors import CheckpointError, TrainingError
from ean_transfer.io.checked import Natural, checked_arguments


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops a training on every rank where the loss of one is NaN or infinite.

    The loss is looked at before the optimiser's step, so the weights stay as they were. An overflow
    that float16's loss scale causes comes after that and is the scale's own affair.

    Args:
        skip: Number of batches with such a loss that are left out instead, without a step. Where
            gradients are accumulated, the step is taken with those of the other batches.

    Raises:
        TrainingError: There was one more.
    """

    priority = "VERY_HIGH"

    @checked_arguments
    def __init__(self, skip: Natural = 0) -> None:
        self.skip = skip
        self._skipped = 0
        self._buffers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        wrapper = runner.optim_wrapper
        if isinstance(wrapper, OptimWrapperDict) or not isinstance(wrapper, OptimWrapper):
            return  # models of several optimisers step each on their own: see after_train_iter
        update = wrapper.update_params

        def update_unless_skipped(loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            if self._is_finite(runner, loss):
                update(loss, *args, **kwargs)
            else:
                for buffer, before in self._buffers:
                    buffer.copy_(before)
                wrapper._inner_count += 1  # or accumulated gradients would end at another batch
                if wrapper.should_update():
                    _step_without_last(wrapper)

        wrapper.update_params = update_unless_skipped

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        # Running statistics take a batch in before its loss is known.
        buffers = runner.model.buffers() if self._skipped < self.skip else ()
        self._buffers = [(buffer, buffer.clone()) for buffer in buffers]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        loss = (outputs or {}).get("loss")
        if isinstance(runner.optim_wrapper, OptimWrapperDict) and loss is not None:
            self._is_finite(runner, loss)

    def after_train(self, runner: Runner) -> None:
        vars(runner.optim_wrapper).pop("update_params", None)

    def _is_finite(self, runner: Runner, loss: torch.Tensor) -> bool:
        wrong = torch.tensor(0.0 if math.isfinite(value := float(loss.detach())) else 1.0)
        all_reduce(wrong, "max")
        if not wrong:
            return True
        is_own = not math.isfinite(value)
        what = f"the loss is {value}" if is_own else "another process's loss is not finite"
        rate = next(iter(runner.optim_wrapper.get_lr().values()))[0]
        where = f"{what} at iteration {runner.iter + 1}, learning rate {rate:.3g}"
        if self._skipped == self.skip:
            raise TrainingError(
                f"{where}: expected a finite loss; {go_on_from(runner.work_dir)}, resume it with a "
                "lower learning rate, or leave out up to N such batches with --cfg-options "
                "default_hooks.finite.skip=N"
            )
        self._skipped += 1
        runner.logger.warning(f"{where}: batch left out ({self._skipped} of {self.skip})")
        return False


def _step_without_last(wrapper: OptimWrapper) -> None:
    """Take the step that a batch which was left out was to end, if there were others before it."""
    parameters = (p for group in wrapper.param_groups for p in group["params"])
    gradients = [p.grad for p in parameters if p.grad is not None]
    if gradients:
        # Which the last batch's backward pass would have done.
        all_reduce_params(gradients, op="mean")
        wrapper.step()
        wrapper.zero_grad()


@HOOKS.register_module()
class FinitePredictionHook(Hook):
    """Stops a test where a network predicts NaN or infinity.

    Finite weights can still be so large that a layer overflows. The largest of NaN scores is the
    first class, so a metric would be a number like any other.

    Raises:
        CheckpointError: A prediction is NaN or infinite.
    """

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        for sample in outputs or ():
            if isinstance(sample, BaseDataElement) and (
                name := not_finite(dict(_predictions(sample)))
            ):
                raise CheckpointError(
                    f"{runner.cfg.get('load_from') or runner.work_dir}: expected finite "
                    f"predictions, found NaN or infinity in {name} of "
                    f"{sample.get('img_path', f'an image of batch {batch_idx}')}: the weights are "
                    "finite, but a layer overflows; use an earlier checkpoint, or train again with "
                    "a lower learning rate"
                )


def _predictions(sample: BaseDataElement, within: str = "") -> Iterator[tuple[str, Tensor]]:
    """Name and value of each number or tensor that a network has put into a sample."""
    for name, value in sample.items():
        if name.startswith("gt_"):
            continue
        if isinstance(value, BaseDataElement):
            yield from _predictions(value, f"{within}{name}.")
        elif isinstance(value, (Tensor, float)):
            yield f"{within}{name}", torch.as_tensor(value)
