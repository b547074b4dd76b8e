"""The search loop: ask a strategy for masks, score them on the supernet, tell their rewards."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.registry import LOOPS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.analysis.search_figure import draw_search
from ean_transfer.checkpoint import read_checkpoint
from ean_transfer.errors import ConfigError
from ean_transfer.progress import progress_bar
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.final import candidates
from ean_transfer.search.provenance import file_hash, provenance
from ean_transfer.search.strategy import Strategy
from ean_transfer.search.trace import TraceLine, append_trace, read_trace, write_trace
from ean_transfer.supernet import Mask, MaskEvaluator, Score
from ean_transfer.supernet.masks import bits_of, mask_of


@LOOPS.register_module()
class SearchLoop(BaseLoop):
    """Searches the connections of a frozen supernet; a validation loop to mmengine.

    The reward of a mask is its accuracy in percent plus ``sparsity_weight`` times its sparsity
    (the papers' form; their constant offset has no effect here). Into the work dir go, while it
    runs, ``trace.jsonl`` and ``search_state.pth``, and at the end ``ticket.json`` and
    ``search.png``. With ``resume`` a stopped search goes on where it was and gives the trace and
    the ticket of one that never stopped.

    Args:
        runner: The runner; its seed seeds the strategy.
        dataloader: Held-out images in a fixed order that mixes the classes.
        evaluator: Not used, see :class:`~ean_transfer.supernet.SupernetValLoop`.
        strategy: Config of the :class:`Strategy`, without blocks and seed.
        steps: Times the strategy is asked.
        masks_per_step: Masks asked for at a time.
        sparsity_weight: Percentage points of accuracy that a fully sparse mask is worth.
        bn: BatchNorm statistics of a candidate, see :class:`MaskEvaluator`.
        last_steps: Steps among which the most frequent mask is sought.
        resume: Go on with the search in the work dir.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Any = None,
        *,
        strategy: dict[str, Any],
        steps: int = 300,
        masks_per_step: int = 3,
        sparsity_weight: float = 2.0,
        bn: str = "batch",
        last_steps: int = 30,
        resume: bool = False,
    ) -> None:
        super().__init__(runner, dataloader)
        if steps < 1 or masks_per_step < 1:
            raise ConfigError(f"a search takes steps and masks, found {steps} x {masks_per_step}")
        self.evaluator = evaluator
        self.steps = steps
        self.masks_per_step = masks_per_step
        self.sparsity_weight = sparsity_weight
        self.last_steps = last_steps
        self.scorer = MaskEvaluator(runner.model, self.dataloader, bn)
        network = self.scorer.backbone.ticket
        self.num_blocks = network.num_blocks
        self._strategy_options = {k: v for k, v in strategy.items() if k != "type"}
        self.strategy: Strategy = STRATEGIES.build(
            dict(strategy, blocks=network.backbone.blocks, seed=runner.seed)
        )
        self.work_dir = Path(runner.work_dir)
        self.trace: list[TraceLine] = []
        self._scores: dict[Mask, Score] = {}
        self._step = 0
        if resume:
            self._restore()
        elif is_main_process():
            forget_search(self.work_dir)

    @property
    def _trace_file(self) -> Path:
        return self.work_dir / "trace.jsonl"

    @property
    def _state_file(self) -> Path:
        return self.work_dir / "search_state.pth"

    def run(self) -> dict[str, float]:
        """Search; returns the final ticket's accuracy, sparsity and reward."""
        self.runner.logger.info(
            f"search: {self.steps} steps of {self.masks_per_step} masks of {self.num_blocks} "
            f"blocks, {type(self.strategy).__name__}, seed {self.strategy.seed}, "
            f"BatchNorm statistics: {self.scorer.bn}"
        )
        with progress_bar() as bar:
            task = bar.add_task("search", total=self.steps, completed=self._step, note="")
            while self._step < self.steps:
                self._one_step()
                best = max(self.trace, key=lambda line: line.reward)
                note = f"best {best.reward:.2f} (accuracy {best.accuracy:.2f}, {best.mask})"
                bar.update(task, completed=self._step, note=note)
                if self._step % 10 == 0 or self._step == self.steps:
                    self.runner.logger.info(
                        f"search step {self._step}/{self.steps}: {note}, "
                        f"{len(self._scores)} distinct masks scored"
                    )
        return self._finish()

    def _one_step(self) -> None:
        policy = self.strategy.probabilities()
        masks = self.strategy.ask(self.masks_per_step)
        new = [mask for mask in dict.fromkeys(masks) if mask not in self._scores]
        self._scores.update(zip(new, self.scorer.scores(new), strict=True))
        lines = [self._line(mask, mask not in new, policy) for mask in masks]
        self.strategy.tell(masks, [line.reward for line in lines])
        self.trace += lines
        self._step += 1
        if is_main_process():
            append_trace(self._trace_file, lines)
            self._save()

    def reward(self, mask: Mask, score: Score) -> float:
        """Accuracy in percent plus the bonus for sparsity."""
        return score.accuracy + self.sparsity_weight * (1.0 - sum(mask) / len(mask))

    def _line(self, mask: Mask, cached: bool, policy: list[float] | None) -> TraceLine:
        score = self._scores[mask]
        return TraceLine(
            step=self._step,
            mask=bits_of(mask),
            accuracy=score.accuracy,
            loss=score.loss,
            sparsity=1.0 - sum(mask) / len(mask),
            reward=self.reward(mask, score),
            cached=cached,
            policy=None if policy is None else [round(p, 4) for p in policy],
        )

    # -- saved state -------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        """What must be equal for a stopped search to go on."""
        supernet = getattr(self.runner, "_load_from", None)
        return {
            "strategy": type(self.strategy).__name__,
            "strategy_options": self._strategy_options,
            "supernet_sha256": file_hash(supernet) if supernet else None,
            "seed": self.strategy.seed,
            "num_blocks": self.num_blocks,
            "masks_per_step": self.masks_per_step,
            "sparsity_weight": self.sparsity_weight,
            "bn": self.scorer.bn,
        }

    def _save(self) -> None:
        state = {
            "step": self._step,
            "settings": self._settings(),
            "strategy": self.strategy.state_dict(),
            "scores": {bits_of(mask): asdict(score) for mask, score in self._scores.items()},
        }
        partial = self._state_file.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self._state_file)

    def _restore(self) -> None:
        if not self._state_file.exists():
            return
        state = read_checkpoint(self._state_file)
        for name, now in self._settings().items():
            if (before := state["settings"][name]) != now:
                raise ConfigError(
                    f"{self._state_file}: the search was started with {name}={before}, it cannot "
                    f"go on with {now}: keep the setting or choose another --work-dir"
                )
        self._step = state["step"]
        self.strategy.load_state_dict(state["strategy"])
        self._scores = {mask_of(bits): Score(**score) for bits, score in state["scores"].items()}
        # A kill between writing the trace and the state leaves lines of a step to be done again.
        self.trace = [line for line in read_trace(self._trace_file) if line.step < self._step]
        if is_main_process():
            write_trace(self._trace_file, self.trace)

    # -- the ticket --------------------------------------------------------------------------

    def _finish(self) -> dict[str, float]:
        """Score the rules' candidates anew, write the best one's ticket and the figure."""
        network = self.scorer.backbone.ticket
        rules = candidates(self.trace, self.strategy.probabilities(), self.last_steps)
        report: dict[str, dict[str, Any]] = {}
        blocks = self.num_blocks
        reference = {"none": (False,) * blocks, "full": (True,) * blocks}
        for name, mask in (rules | reference).items():
            score = self.scorer.score(mask)
            report[name] = {
                "bits": str(network.with_mask(mask)),
                "accuracy": round(score.accuracy, 4),
                "loss": round(score.loss, 6),
                "reward": round(self.reward(mask, score), 4),
            }
        # Of equal rewards, the sparser; the names order what is still equal.
        chosen = max(sorted(rules), key=lambda n: (report[n]["reward"], -sum(rules[n])))
        for name, found in report.items():
            self.runner.logger.info(f"{name:14} {found['bits']}  {found}")

        ticket = network.with_mask(rules[chosen]).replace(
            provenance=provenance(
                self.runner,
                settings=self._settings() | {"steps": self.steps},
                chosen_by=chosen,
                rules=report,
                images=self.scorer.score(rules[chosen]).images,
                distinct_masks=len(self._scores),
            )
        )
        if is_main_process():
            file = ticket.save(self.work_dir / "ticket.json")
            draw_search(self.trace, self.work_dir / "search.png", network.backbone.blocks)
            self.runner.logger.info(f"ticket {ticket} ({chosen}) written to {file}")
        barrier()  # whoever reads the ticket next, on any rank, finds it written
        return {
            "accuracy": report[chosen]["accuracy"],
            "sparsity": ticket.sparsity,
            "reward": report[chosen]["reward"],
        }


def forget_search(work_dir: Path) -> None:
    """Remove what a resumed search would go on from."""
    for name in ("trace.jsonl", "search_state.pth"):
        (work_dir / name).unlink(missing_ok=True)
