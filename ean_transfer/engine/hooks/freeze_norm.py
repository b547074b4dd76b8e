"""Batch normalisation with fixed statistics in the last part of a training."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce_params
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader, Subset

from ean_transfer.attachment.network import unwrapped
from ean_transfer.engine.hooks.same_buffers import share_buffers
from ean_transfer.io.checked import Natural, Positive, checked_arguments


@HOOKS.register_module()
class FreezeNormHook(Hook):
    """From an iteration on, batch normalisation uses fixed statistics in training too.

    A network is trained with the statistics of each batch and tested with running ones. Where it
    regresses a sum, as a counter does, the small difference adds up over the image: on VGG Cells
    counts were 3 % off in one direction. In the last part of the training, the weights can adapt
    to the statistics that they will be tested with.

    The running statistics at that iteration follow the last few batches, and weights that have
    changed since. So they are measured anew before they are fixed: as averages over many training
    images, augmented as in training, all under the present weights. Averaged weights (mmengine's
    ``EMAHook``) get statistics of their own. Statistics are the same on all ranks, and no random
    draw of the training changes. Measured on VGG Cells in docs/counting.md.

    Args:
        begin: The first iteration with fixed statistics, counted from 0. A training that ends
            before it says so in its log.
        images: Number of training images to measure on, drawn by the run's seed; all of them if
            there are fewer. With 0 the running statistics are fixed as they are (on several
            processes, as the first one has them).
        batch_size: Number of images in a batch while measuring; the closer to ``images``, the
            closer are the variances to those over all images. No gradients are kept, so more fit
            into memory than in training.

    Raises:
        ConfigError: An argument is not a whole number, or too small.
    """

    @checked_arguments
    def __init__(self, begin: Natural, images: Natural = 256, batch_size: Positive = 16) -> None:
        self.begin = begin
        self.images = images
        self.batch_size = batch_size

    def before_train(self, runner: Runner) -> None:
        if self.begin >= runner.max_iters:
            runner.logger.warning(
                f"FreezeNormHook: expected begin below the training's {runner.max_iters} "
                f"iterations, found {self.begin}, so no statistics are fixed: set a smaller one by "
                "--cfg-options custom_hooks.FreezeNormHook.begin=N"
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter < self.begin:
            return
        if runner.iter == self.begin:  # later, a checkpoint has brought them
            share_buffers(runner.model)
            for model in _trained_models(runner) if self.images else ():
                with _drawing_apart(runner.seed):
                    measure_statistics(model, self._batches(runner))
        # Each time, since loops put the whole model into training mode after a validation.
        for layer in _layers(runner.model):
            layer.eval()

    def _batches(self, runner: Runner) -> DataLoader:
        loader = runner.train_dataloader
        drawn = np.random.permutation(len(loader.dataset))[: self.images].tolist()
        return DataLoader(
            Subset(loader.dataset, drawn),
            self.batch_size,
            collate_fn=loader.collate_fn,
            # A last batch of one or two images would count as much as a whole one.
            drop_last=len(drawn) > self.batch_size,
        )


@torch.no_grad()
def measure_statistics(model: Any, batches: Iterable[Any]) -> None:
    """Set the running statistics of batch normalisation to those over all batches together.

    Layers in evaluation mode keep theirs, and so do layers that no batch reaches. A layer that is
    called several times in a forward, as in attention that a stage shares, gets those over all
    calls.

    Args:
        model: An mmengine model in training mode. Its losses are computed, so that every layer
            that is trained is measured.
        batches: Batches as its training gets them, of equal sizes.
    """
    layers: list[Any] = [
        layer for layer in _layers(model) if layer.training and layer.track_running_stats
    ]
    momenta = [layer.momentum for layer in layers]
    means: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}
    variances: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}

    def keep(layer: Any, *_: Any) -> None:
        means[layer].append(layer.running_mean.to(torch.float64, copy=True))
        variances[layer].append(layer.running_var.to(torch.float64, copy=True))

    handles = [layer.register_forward_hook(keep) for layer in layers]
    for layer in layers:
        layer.momentum = 1.0  # running statistics are then those of the last call
    try:
        for batch in batches:
            model._run_forward(model.data_preprocessor(batch, True), mode="loss")
    finally:
        for layer, momentum, handle in zip(layers, momenta, handles, strict=True):
            layer.momentum = momentum
            handle.remove()
    for layer in layers:
        if means[layer]:
            # Over all images: within the batches, and of the batches' means.
            mean = torch.stack(means[layer])
            layer.running_mean.copy_(mean.mean(dim=0))
            within = torch.stack(variances[layer]).mean(dim=0)
            layer.running_var.copy_(within + mean.var(dim=0, correction=0))
            # Kernels may round differently on another rank.
            all_reduce_params([layer.running_mean, layer.running_var], op="mean")


def _trained_models(runner: Runner) -> Iterator[nn.Module]:
    """The model, and its averages that have statistics of their own, in the model's modes."""
    model = unwrapped(runner.model)
    yield model
    for hook in runner.hooks:
        if isinstance(hook, EMAHook) and hook.ema_model.update_buffers:
            averaged = hook.ema_model.module
            for own, copy in zip(model.modules(), averaged.modules(), strict=True):
                copy.training = own.training
            yield averaged


def _layers(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def _drawing_apart(seed: int) -> Iterator[None]:
    """Yield with all generators at a seed; at the end they are where they were before."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
