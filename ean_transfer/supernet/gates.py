"""Learned gates: how much of each connection a supernet wants, trained along with it."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from ean_transfer.errors import ConfigError
from ean_transfer.supernet.masks import find_backbone, require_supernet, shared_seed


@HOOKS.register_module()
class GateHook(Hook):
    """Trains a supernet whose connections have relaxed gates instead of random masks.

    Block l's branch is ``(1 - g_l) f + g_l attention(f)``, where g_l is a relaxed Bernoulli draw
    (binary concrete; Maddison et al. 2017, arXiv 1611.00712) of a probability that is learned by
    gradient descent on the training loss plus ``cost`` times the mean probability. The
    probabilities go into every checkpoint, from where
    :class:`~ean_transfer.search.GatesStrategy` takes them.

    Args:
        lr: Learning rate of Adam for the gates' logits.
        temperature: Of the relaxation; towards 0 the draws are 0 or 1.
        cost: Nats of training loss that connecting every block costs.
        seed: Seed of the draws; the run's by default.

    Raises:
        ConfigError: If an option is out of range, the backbone lacks connections, or the training
            has mixed precision.
    """

    def __init__(
        self,
        lr: float = 0.02,
        temperature: float = 2 / 3,
        cost: float = 0.0,
        seed: int | None = None,
    ) -> None:
        if lr <= 0 or temperature <= 0 or cost < 0:
            raise ConfigError(
                "gates need lr > 0, temperature > 0 and cost >= 0, found "
                f"lr={lr}, temperature={temperature}, cost={cost}"
            )
        self.lr = lr
        self.temperature = temperature
        self.cost = cost
        self.seed = seed
        self._restored: dict[str, Any] | None = None

    def before_train(self, runner: Runner) -> None:
        backbone = find_backbone(runner.model)
        require_supernet(backbone, "gates need every connection, but the")
        if isinstance(runner.optim_wrapper, AmpOptimWrapper):
            raise ConfigError("gates do not train with --amp: its loss scale hides their cost")
        device = next(backbone.parameters()).device
        self.logits = torch.zeros(backbone.ticket.num_blocks, device=device, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits], lr=self.lr)
        self._common_seed = shared_seed(runner.seed if self.seed is None else self.seed)
        if self._restored is not None:
            self.logits.data.copy_(self._restored["logits"])
            self.optimizer.load_state_dict(self._restored["optimizer"])

    @property
    def probabilities(self) -> list[float]:
        """Of each block to be connected."""
        return self.logits.detach().sigmoid().tolist()

    def draw(self, iteration: int) -> Tensor:
        """(blocks,): the gates of an iteration, the same on all ranks and after resuming."""
        generator = torch.Generator().manual_seed(self._common_seed * 1_000_003 + iteration)
        uniform = torch.rand(len(self.logits), generator=generator).clamp(1e-6, 1 - 1e-6)
        noise = torch.logit(uniform).to(self.logits.device)
        return torch.sigmoid((self.logits + noise) / self.temperature)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        find_backbone(runner.model).set_gates(self.draw(runner.iter))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        find_backbone(runner.model).set_gates(None)
        assert self.logits.grad is not None
        all_reduce(self.logits.grad, op="mean")
        open_share = self.logits.detach().sigmoid()
        self.logits.grad += self.cost * open_share * (1.0 - open_share) / len(self.logits)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        checkpoint["gates"] = {
            "probabilities": self.probabilities,
            "logits": self.logits.detach().cpu(),
            "optimizer": self.optimizer.state_dict(),
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        self._restored = checkpoint.get("gates")
