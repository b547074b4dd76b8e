"""The papers' search: a policy gradient with curiosity, baseline and replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ean_transfer.io.checked import (
    Natural,
    Positive,
    PositiveNumber,
    Share,
    checked_arguments,
)
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.space import Connections
from ean_transfer.ticket.mask import Mask

_IMPOSSIBLE = -1e6  # log-probability of what cannot be; finite, as a gradient must pass it


@dataclass(frozen=True)
class _Step:
    """One step of n masks over m blocks, kept for replay."""

    masks: Tensor  # (n, m), 0 or 1
    rewards: Tensor  # (n,), without the curiosity bonus
    probabilities: Tensor  # (n, m), of the drawn bits under the policy that drew them


@STRATEGIES.register_module()
class ReinforceStrategy(Strategy):
    """REINFORCE over one independent bit per block ("Efficient Attention Network", step 2).

    The policy is a small network on a constant input: zeros (20) - Linear 50 - ReLU - Linear 2m,
    logits divided by a temperature, softmax per block. The defaults are the paper's. The authors'
    code has bugs in the following places, where this differs from it:

    - The curiosity bonus (random network distillation) is one number per mask, relative to the
      step's mean, and stays out of the baseline. Shared and uncentred, as in the authors' code, it
      inflates the baseline, and advantages are negative for the first 50 to 75 steps.
    - The baseline starts at the first step's mean reward, so a constant offset of the reward has
      no effect.
    - Masks keep their axes in replay and curiosity.
    - Replay weighs the log-likelihood by the ratio of probabilities as a constant: differentiated,
      ``p log p`` would push unlikely bits the wrong way.
    - Every draw comes from one seeded generator.

    With a range of connections the bits are drawn on the condition that their number is in it,
    exactly: one after the other, each bit with its probability given those before it. The
    likelihood that is learned is that of these conditional draws.

    Args:
        blocks: Number of residual blocks in each stage, m in all.
        seed: Seed of the networks and of every draw.
        connections: How many blocks a mask may connect, see :class:`Strategy`.
        lr: Learning rate of Adam, for the policy and the curiosity's predictor.
        temperature: Divisor of the logits.
        baseline_decay: Decay of the exponential mean of rewards.
        curiosity_weight: Weight of the bonus, in units of the reward; 0 switches it off.
        replay_weight: Weight of the replayed step's loss; 0 switches it off.
        replay_from: First step that replays.
        replay_size: Number of past steps to draw from.
        replay_clip: Largest distance from 1 that the ratio of probabilities keeps when clipped.
    """

    @checked_arguments
    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        connections: Connections = None,
        *,
        lr: PositiveNumber = 0.05,
        temperature: PositiveNumber = 5.0,
        baseline_decay: Share = 0.95,
        curiosity_weight: float = 1.0,
        replay_weight: float = 0.1,
        replay_from: Natural = 10,
        replay_size: Positive = 30,
        replay_clip: Share = 0.1,
    ) -> None:
        super().__init__(blocks, seed, connections)
        self.temperature = temperature
        self.baseline_decay = baseline_decay
        self.curiosity_weight = curiosity_weight
        self.replay_weight = replay_weight
        self.replay_from = replay_from
        self.replay_clip = replay_clip

        m = self.num_blocks
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.policy = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 2 * m))
            self.target = nn.Sequential(
                nn.Linear(m, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4 * m)
            )
            self.predictor = nn.Sequential(nn.Linear(m, 32), nn.ReLU(), nn.Linear(32, 4 * m))
        self.target.requires_grad_(False)
        self.policy_optimizer = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.predictor_optimizer = torch.optim.Adam(self.predictor.parameters(), lr=lr)
        self.generator = torch.Generator().manual_seed(seed)
        self.baseline: float | None = None
        self.step = 0
        self.memory: deque[_Step] = deque(maxlen=replay_size)

    def _log_probabilities(self) -> Tensor:
        """(m, 2): log-probability of each block to be unconnected, connected."""
        logits = self.policy(torch.zeros(20)).view(self.num_blocks, 2) / self.temperature
        return F.log_softmax(logits, dim=1)

    def _log_likelihood(self, masks: Tensor) -> Tensor:
        """(n, m): log-probability of each bit of the masks (n, m) under the present policy.

        In a space that is not whole, each bit's given the bits before it.
        """
        log_p = self._log_probabilities()
        log_bits = torch.where(masks.bool(), log_p[:, 1], log_p[:, 0])
        if self.space.is_whole:
            return log_bits
        log_rest, after = self._log_completions(log_p), masks.long().cumsum(dim=1)
        block, before = torch.arange(self.num_blocks), after - masks.long()
        return log_bits + log_rest[block + 1, after] - log_rest[block, before]

    def _log_completions(self, log_p: Tensor) -> Tensor:
        """(m + 1, m + 1): at [i, c], the log-probability that the blocks from i on complete a mask
        of the space, if those before i have c connections.

        Args:
            log_p: (m, 2), log-probability of each block to be unconnected, connected.
        """
        counts = torch.arange(self.num_blocks + 1)
        outside = (counts < self.space.low) | (counts > self.space.high)
        rows = [outside * _IMPOSSIBLE]
        for unconnected, connected in reversed(log_p.unbind()):
            after = F.pad(rows[0][1:], (0, 1), value=_IMPOSSIBLE)  # with one more connection
            rows.insert(0, torch.logaddexp(unconnected + rows[0], connected + after))
        return torch.stack(rows)

    def probabilities(self) -> list[float]:
        with torch.no_grad():
            log_p = self._log_probabilities()
        if self.space.is_whole:
            return log_p[:, 1].exp().tolist()
        # The probability of all masks of the space is a sum over masks, each a product over blocks:
        # its logarithm's derivative is the share of the masks that connect the block.
        log_p.requires_grad_()
        return torch.autograd.grad(self._log_completions(log_p)[0, 0], log_p)[0][:, 1].tolist()

    def likeliest(self) -> Mask:
        # Not by the probabilities in the space: they cannot tell how many bits to connect.
        with torch.no_grad():
            return self.space.most_probable(self._log_probabilities()[:, 1].exp().tolist())

    def ask(self, count: int) -> list[Mask]:
        if self.space.is_whole:
            probabilities = torch.tensor(self.probabilities()).expand(count, -1)
            draws = torch.bernoulli(probabilities, generator=self.generator)
        else:
            draws = self._conditional_draws(count)
        return [tuple(bool(bit) for bit in row) for row in draws.tolist()]

    @torch.no_grad()
    def _conditional_draws(self, count: int) -> Tensor:
        """(count, m): masks of the space, drawn block by block."""
        log_p = self._log_probabilities()
        log_rest = self._log_completions(log_p)
        draws = torch.zeros(count, self.num_blocks)
        before = torch.zeros(count, dtype=torch.long)
        for block in range(self.num_blocks):
            log_odds = log_p[block, 1] + log_rest[block + 1, before + 1]
            log_odds = log_odds - log_p[block, 0] - log_rest[block + 1, before]
            draws[:, block] = torch.bernoulli(log_odds.sigmoid(), generator=self.generator)
            before += draws[:, block].long()
        return draws

    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        bits = torch.tensor(masks, dtype=torch.float32)
        # In float64, so that an offset of the reward is subtracted without a trace.
        reward = torch.tensor(rewards, dtype=torch.float64)
        mean = float(reward.mean())
        if self.baseline is None:
            self.baseline = mean
        self.baseline += (1.0 - self.baseline_decay) * (mean - self.baseline)

        log_p = self._log_likelihood(bits)
        advantage = (reward - self.baseline).float() + self._curiosity(bits)
        loss = -(log_p * advantage[:, None]).mean(dim=0).sum()
        if self.memory and self.step >= self.replay_from and self.replay_weight > 0:
            loss = loss + self.replay_weight * self._replay_loss()
        self.policy_optimizer.zero_grad()
        loss.backward()
        self.policy_optimizer.step()

        self.memory.append(_Step(bits, reward, log_p.detach().exp()))
        self.step += 1

    def _curiosity(self, masks: Tensor) -> Tensor:
        """(n,): how much newer each mask is than the step's others; also trains the predictor."""
        if self.curiosity_weight == 0:
            return torch.zeros(len(masks))
        error = (self.predictor(masks) - self.target(masks)).square().mean(dim=1)
        self.predictor_optimizer.zero_grad()
        error.mean().backward()
        self.predictor_optimizer.step()
        bonus = error.detach()
        return self.curiosity_weight * (bonus - bonus.mean())

    def _replay_loss(self) -> Tensor:
        """The clipped objective on one remembered step."""
        index = int(torch.randint(len(self.memory), (1,), generator=self.generator))
        past = self.memory[index]
        log_p = self._log_likelihood(past.masks)
        ratio = log_p.detach().exp() / past.probabilities
        clipped = ratio.clamp(1.0 - self.replay_clip, 1.0 + self.replay_clip)
        assert self.baseline is not None  # set by the step that was remembered
        gain = log_p * (past.rewards - self.baseline).float()[:, None]
        return -torch.minimum((ratio * gain).sum(), (clipped * gain).sum()) / len(past.masks)

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": self.policy.state_dict(),
            "target": self.target.state_dict(),
            "predictor": self.predictor.state_dict(),
            "policy_optimizer": self.policy_optimizer.state_dict(),
            "predictor_optimizer": self.predictor_optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "baseline": self.baseline,
            "step": self.step,
            "memory": [
                {"masks": s.masks, "rewards": s.rewards, "probabilities": s.probabilities}
                for s in self.memory
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("policy", "target", "predictor", "policy_optimizer", "predictor_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.baseline = state["baseline"]
        self.step = state["step"]
        self.memory = deque((_Step(**s) for s in state["memory"]), maxlen=self.memory.maxlen)
