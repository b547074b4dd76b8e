"""Trains a supernet in plain PyTorch: a short fine-tuning under random masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from ean_transfer.attachment.parameters import parameter_groups
from ean_transfer.data.draws import drawing
from ean_transfer.errors import ConfigError, TrainingError
from ean_transfer.io.checked import Checked, Positive, PositiveNumber, Share
from ean_transfer.supernet.batches import as_the_model_takes, inputs_and_targets, mean_loss
from ean_transfer.supernet.sampling import MaskSampler


class FineTuning(Checked):
    """Recipe of a supernet's training.

    Args:
        epochs: Number of passes over the training set.
        lr: Highest learning rate of the pretrained network, of a one-cycle schedule.
        attention_lr: Highest learning rate of the attention; ten times ``lr`` by default.
        weight_decay: AdamW's weight decay.
        probability: Probability of each block to be connected, in each iteration.
    """

    what = "supernet training"

    epochs: Positive = 3
    lr: PositiveNumber = 1e-3
    attention_lr: PositiveNumber | None = None
    weight_decay: float = 0.01
    probability: Share = 0.5


class SupernetTraining:
    """Trains a network with every connection, each iteration under another random mask.

    Iterate over it to train: it yields after each epoch, when :meth:`state_dict` may be saved.

    Args:
        model: The supernet.
        loader: Batches of inputs and targets; anything with a length that can be iterated over
            once per epoch.
        loss: Function of outputs and targets to a scalar.
        recipe: Epochs and learning rates.
        seed: Seed of masks, dropout and of the loader's shuffling.

    Attributes:
        epoch: Number of epochs done.
    """

    def __init__(
        self,
        model: nn.Module,
        loader: Iterable[Any],
        loss: Callable[[Any, Any], Tensor],
        recipe: FineTuning,
        seed: int = 0,
    ) -> None:
        length = len(loader)  # type: ignore[arg-type]
        if length == 0:
            raise ConfigError("the training loader: expected at least one batch, found none")
        self.model = model
        self.loader = loader
        self.loss = loss
        self.recipe = recipe
        self.seed = seed
        self.epoch = 0
        groups = parameter_groups(model, recipe.lr, recipe.attention_lr)
        rates = [group["lr"] for group in groups]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        self.schedule = OneCycleLR(self.optimizer, rates, total_steps=length * recipe.epochs)
        self.sampler = MaskSampler(model, recipe.probability, seed)

    def __iter__(self) -> Iterator[int]:
        """Train the epochs that are left.

        Yields:
            The number of epochs done.

        Raises:
            TrainingError: The loss is NaN or infinite.
            ConfigError: A batch is no pair, or the loss is not one number with a gradient.
        """
        with self.sampler:
            while self.epoch < self.recipe.epochs:
                # The draws of an epoch depend on its number alone, so that a resumed training
                # repeats them; those of the caller's program are left alone.
                with drawing(self.seed, self.epoch):
                    self._train_epoch()
                self.epoch += 1
                yield self.epoch

    def _train_epoch(self) -> None:
        self.model.train()
        for batch in self.loader:
            mask = self.sampler.step()
            inputs, targets = inputs_and_targets(as_the_model_takes(batch, self.model))
            loss = mean_loss(self.loss, self.model(inputs), targets)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the supernet's loss is {loss.item()} in epoch {self.epoch + 1} at learning "
                    f"rate {self.schedule.get_last_lr()[0]:.3g}: lower lr, or check the targets"
                )
            self.optimizer.zero_grad()
            if loss.requires_grad:
                loss.backward()
            elif any(mask):  # without connections a frozen network has nothing to train
                raise ConfigError(
                    "the loss: expected a tensor that can be differentiated, found one without a "
                    "gradient"
                )
            self.optimizer.step()
            self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """What a stopped training resumes from."""
        return {
            "epoch": self.epoch,
            "iteration": self.sampler.iteration,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self.epoch, self.sampler.iteration = state["epoch"], state["iteration"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
