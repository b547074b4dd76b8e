"""A search in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from ean_transfer.search.trace import TraceLine


def draw_search(trace: Sequence[TraceLine], path: Path, blocks: Sequence[int]) -> Path:
    """Draw reward, sparsity and the policy's probability of each block over the steps.

    Args:
        trace: The scored masks in order.
        path: Where the PNG goes.
        blocks: Blocks a stage, to label the policy's rows.

    Returns:
        The path.
    """
    policies = {line.step: line.policy for line in trace if line.policy is not None}
    rows = 3 if policies else 2
    figure = Figure(figsize=(8, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)
    steps = [line.step for line in trace]

    reward = axes[0, 0]
    rewards = [line.reward for line in trace]
    reward.plot(steps, rewards, ".", markersize=3, alpha=0.5, label="sampled mask")
    reward.plot(steps, list(accumulate(rewards, max)), linewidth=1.5, label="best so far")
    reward.set_ylabel("reward (points)")
    reward.legend(loc="lower right", fontsize=8)

    sparsity = axes[1, 0]
    sparsity.plot(steps, [line.sparsity for line in trace], ".", markersize=3, alpha=0.5)
    sparsity.set_ylabel("sparsity (share of\nblocks unconnected)")
    sparsity.set_ylim(-0.05, 1.05)

    if policies:
        policy = axes[2, 0]
        columns = [policies[step] for step in sorted(policies)]
        image = policy.imshow(
            list(zip(*columns, strict=True)),
            aspect="auto",
            vmin=0,
            vmax=1,
            cmap="RdBu_r",
            interpolation="nearest",
            extent=(-0.5, len(columns) - 0.5, sum(blocks) - 0.5, -0.5),
        )
        labels = [f"{s}.{b}" for s, n in enumerate(blocks, 1) for b in range(1, n + 1)]
        policy.set_yticks(range(len(labels)), labels, fontsize=7 if len(labels) < 20 else 5)
        policy.set_ylabel("stage.block")
        figure.colorbar(image, ax=policy, label="probability of\na connection")
    axes[-1, 0].set_xlabel("step")
    figure.savefig(path, dpi=130)
    return path
