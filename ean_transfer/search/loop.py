"""The search loop: ask a strategy for masks, score them on the supernet, tell their rewards."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.registry import LOOPS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.attachment.network import find_backbone, unwrapped
from ean_transfer.engine.weights import load_model
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.files import file_hash
from ean_transfer.io.progress import progress_bar
from ean_transfer.search.confirm import confirm, point
from ean_transfer.search.cost.table import COSTS, CostTable, cost_table, load_cost_table
from ean_transfer.search.figure import draw_search
from ean_transfer.search.final import candidates
from ean_transfer.search.provenance import config_hash, provenance
from ean_transfer.search.reward import Reward, build_reward, costs_of
from ean_transfer.search.settings import check_settings
from ean_transfer.search.state import load_state, save_state
from ean_transfer.search.strategies.base import build_strategy
from ean_transfer.search.trace import TraceLine, append_trace, read_trace, write_trace
from ean_transfer.supernet import Mask, MaskEvaluator, Score
from ean_transfer.supernet.sampling import shared_seed
from ean_transfer.ticket.mask import bits_of

_STATE, _TRACE, _COST = "search_state.json", "trace.jsonl", "cost_{}.json"


@LOOPS.register_module()
class SearchLoop(BaseLoop):
    """Searches the connections of a frozen supernet; a validation loop to mmengine.

    None and full are scored first, as references. Then, step by step, the strategy is asked for
    masks, those that are new are scored (divided among the processes, if there are several), and
    the strategy is told their rewards. At the end the leaders are scored on all held-out images,
    and the best of them becomes the ticket.

    Into the work dir go, while it runs, ``trace.jsonl`` and ``search_state.json``, and at the end
    ``ticket.json``, ``pareto.json`` and ``search.png``. With ``resume`` a stopped search goes on
    where it was and gives the trace and the ticket of one that never stopped; so do several
    processes instead of one.

    Args:
        runner: The runner; its seed seeds the strategy.
        dataloader: Held-out images in an order that mixes the classes.
        evaluator: Not used, see :class:`~ean_transfer.supernet.SupernetValLoop`.
        strategy: Config of the :class:`Strategy`, without blocks and seed.
        reward: What is searched for, see :func:`~ean_transfer.search.reward.build_reward`.
        steps: Times the strategy is asked.
        masks_per_step: Masks asked for at a time.
        bn: BatchNorm statistics of a candidate, see :class:`MaskEvaluator`.
        images: Held-out images that a mask is scored on while searching; all by default.
        confirm: How many leaders are scored on all images at the end, besides the rules' masks.
        last_steps: Steps among which the most frequent mask is sought.
        supernets: Checkpoints of more supernets, of other seeds; scores are means over all.
        latency: For a reward with latency: ``dict(file=...)``, a cost table measured before, or
            options of :func:`~ean_transfer.search.cost.table.cost_table` (``input_shape``, ``rounds``)
            for measuring it now; by default 8 images of the held-out ones' size.
        resume: Go on with the search in the work dir.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Any = None,
        *,
        strategy: dict[str, Any],
        reward: dict[str, Any],
        steps: int = 300,
        masks_per_step: int = 3,
        bn: str = "batch",
        images: int | None = None,
        confirm: int = 8,
        last_steps: int = 30,
        supernets: Sequence[str] = (),
        latency: dict[str, Any] | None = None,
        resume: bool = False,
    ) -> None:
        super().__init__(runner, dataloader)
        settings = {
            "reward": reward,
            "steps": steps,
            "masks_per_step": masks_per_step,
            "bn": bn,
            "images": images,
            "confirm": confirm,
            "last_steps": last_steps,
            "latency": latency,
        }
        check_settings(settings, find_backbone(runner.model).ticket)
        self.evaluator = evaluator
        self.steps = steps
        self.masks_per_step = masks_per_step
        self.confirm = confirm
        self.last_steps = last_steps
        self.work_dir = Path(runner.work_dir)
        self.supernets = list(supernets)
        first = unwrapped(runner.model).to(memory_format=torch.channels_last)  # faster, same values
        others = [copy.deepcopy(first) for _ in supernets]
        for model, file in zip(others, supernets, strict=True):
            load_model(model, file)
        self.scorer = MaskEvaluator(runner.model, self.dataloader, bn, images, others)
        self.network = self.scorer.backbone.ticket
        self.num_blocks = self.network.num_blocks
        self._config = {"strategy": dict(strategy), "reward": dict(reward)}
        self._latency = dict(latency or {})
        self._latency_file = self._latency.pop("file", None)
        self.reward: Reward  # as soon as what it needs is measured
        self.strategy = build_strategy(
            strategy, self.network.backbone.blocks, shared_seed(runner.seed)
        )
        self._settings = self._current_settings()
        self.trace: list[TraceLine] = []
        self._scores: dict[Mask, Score] = {}
        self._best: TraceLine | None = None
        self._best_rank = (False, -math.inf)
        self._hits = 0  # masks asked for again
        self._step = 0
        if not (resume and self._restore()):
            if is_main_process():
                forget_search(self.work_dir, keep=self._latency_file)
            barrier()

    def run(self) -> dict[str, float]:
        """Search; returns the final ticket's accuracy, sparsity and reward."""
        references = self.scorer.scores(self._references())
        reward = build_reward(self._config["reward"], self._cost_tables())
        self.reward = reward.with_references(*references)
        self.reward.require_possible()
        for line in self.trace:
            self._remember(line)
        self.runner.logger.info(
            f"search: {self.steps} steps of {self.masks_per_step} masks of {self.num_blocks} "
            f"blocks, {type(self.strategy).__name__}, seed {self.strategy.seed}, "
            f"{self.scorer.images} images, BatchNorm statistics: {self.scorer.bn}; "
            f"reward: {self.reward.describe()}"
        )
        with progress_bar() as bar:
            task = bar.add_task("search", total=self.steps, completed=self._step, note="")
            while self._step < self.steps and self._one_step():
                note = self._progress()
                bar.update(task, completed=self._step, note=note)
                if self._step % 10 == 0 or self._step == self.steps:
                    self.runner.logger.info(f"search step {self._step}/{self.steps}: {note}")
        if not self.trace:
            raise ConfigError(f"{type(self.strategy).__name__} proposed no mask at all")
        return self._finish()

    def _references(self) -> tuple[Mask, Mask]:
        return (False,) * self.num_blocks, (True,) * self.num_blocks

    def _one_step(self) -> bool:
        """Ask, score, tell; False once the strategy has nothing left to propose."""
        policy = self.strategy.probabilities()
        masks = self.strategy.ask(self.masks_per_step)
        if not masks:
            self.runner.logger.info(f"search step {self._step}: nothing left to propose")
            return False
        new = [mask for mask in dict.fromkeys(masks) if mask not in self._scores]
        self._scores.update(zip(new, self.scorer.scores(new), strict=True))
        lines = [self._line(mask, mask not in new, policy) for mask in masks]
        self.strategy.tell(masks, [line.reward for line in lines])
        self.trace += lines
        for line in lines:
            self._remember(line)
        self._step += 1
        if is_main_process():
            append_trace(self.work_dir / _TRACE, lines)
            self._save()
            self._visualize(lines)
        return True

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
            cost=self.reward.cost_of(mask),
        )

    def _remember(self, line: TraceLine) -> None:
        """Keep the best line so far: of those that satisfy the constraint, if any do."""
        self._hits += line.cached
        rank = self.reward.rank(line.bits, self._scores[line.bits])
        if self._best is None or rank > self._best_rank:
            self._best, self._best_rank = line, rank

    def _progress(self) -> str:
        best = self._best
        assert best is not None
        return (
            f"best {best.reward:.2f} ({best.mask}: accuracy {best.accuracy:.2f}, sparsity "
            f"{best.sparsity:.2f}), {len(self._scores)} masks scored, "
            f"{self._hits} cache hits"
        )

    def _visualize(self, lines: Sequence[TraceLine]) -> None:
        best = self._best
        assert best is not None
        scalars = {
            "search/reward": sum(line.reward for line in lines) / len(lines),
            "search/best_reward": best.reward,
            "search/best_accuracy": best.accuracy,
            "search/best_sparsity": best.sparsity,
            "search/masks_scored": len(self._scores),
        }
        self.runner.visualizer.add_scalars(scalars, step=self._step)

    # -- costs -------------------------------------------------------------------------------

    def _cost_tables(self) -> dict[str, CostTable]:
        """The tables that the reward needs. A measured one is kept, so that a search resumes."""
        tables: dict[str, CostTable] = {}
        for name in costs_of(self._config["reward"]):
            # One process reads or measures, one device's time, and all have the same table.
            found: list[Any] = [None]
            if is_main_process():
                found = [self._cost_table(name)]
            broadcast_object_list(found)
            tables[name] = found[0]
        return tables

    def _cost_table(self, name: str) -> CostTable:
        kept = self.work_dir / _COST.format(name)
        given = self._latency_file if name == "latency" else None
        if given is None and not kept.exists():
            options = {"input_shape": (8, *self.scorer.image_shape)}
            table = cost_table(
                name,
                self.scorer.backbone,
                **options | (self._latency if name == "latency" else {}),  # type: ignore[arg-type]
            )
            table.save(kept)
            return table
        return load_cost_table(name, given or kept, self.network)

    # -- saved state -------------------------------------------------------------------------

    def _current_settings(self) -> dict[str, Any]:
        """What must be equal for a stopped search to go on, as JSON gives it back."""
        supernet = getattr(self.runner, "_load_from", None)
        strategy = {k: v for k, v in self._config["strategy"].items() if k != "type"}
        latency = self._latency_file
        held_out = self.runner.cfg.get("val_dataloader", {}).get("dataset")
        settings = {
            "strategy": type(self.strategy).__name__,
            "strategy_options": strategy,
            "supernet_sha256": [file_hash(f) for f in (supernet, *self.supernets) if f],
            "seed": self.strategy.seed,
            "num_blocks": self.num_blocks,
            "masks_per_step": self.masks_per_step,
            "reward": self._config["reward"],
            "bn": self.scorer.bn,
            "images": self.scorer.images,
            "batch_size": self.dataloader.batch_size,
            "held_out_sha256": config_hash(held_out),
            "latency_sha256": file_hash(latency) if latency and Path(latency).exists() else None,
        }
        return json.loads(json.dumps(settings))

    def _save(self) -> None:
        state = {
            "step": self._step,
            "settings": self._settings,
            "strategy": self.strategy.state_dict(),
        }
        save_state(self.work_dir / _STATE, state)

    def _restore(self) -> bool:
        """Take up the search in the work dir; False if there is none."""
        file = self.work_dir / _STATE
        found: list[Any] = [None]
        if is_main_process() and file.exists():
            # A kill between writing the trace and the state leaves lines of a step to do again.
            found = [(load_state(file), read_trace(self.work_dir / _TRACE))]
        broadcast_object_list(found)
        if found[0] is None:
            return False
        state, trace = found[0]
        missing = {"step", "settings", "strategy"} - set(state)
        trace = [line for line in trace if not missing and line.step < state["step"]]
        if missing or {line.step for line in trace} != set(range(state["step"])):
            raise CheckpointError(
                f"{file}: state and {_TRACE} do not belong together: start again without --resume"
            )
        for name, now in self._settings.items():
            # A search that was started before a setting was kept says nothing of it.
            if (before := state["settings"].get(name, now)) != now:
                raise ConfigError(
                    f"{file}: the search was started with {name}={before}, it cannot "
                    f"go on with {now}: keep the setting or choose another --work-dir"
                )
        self._step = state["step"]
        self.strategy.load_state_dict(state["strategy"])
        self.trace = trace
        self._scores = {
            line.bits: Score(line.accuracy, line.loss, self.scorer.images) for line in trace
        }
        if is_main_process():
            write_trace(self.work_dir / _TRACE, trace)
        return True

    # -- the ticket --------------------------------------------------------------------------

    def _finish(self) -> dict[str, float]:
        """Confirm the leaders on all images, write the best one's ticket, the front, the figure."""
        none, full = self._references()
        rules = candidates(self.trace, self.strategy.probabilities(), self.last_steps)
        named = rules | {"none": none, "full": full}
        leaders = sorted(
            self._scores, key=lambda m: self.reward.rank(m, self._scores[m]), reverse=True
        )
        final = confirm(self.scorer, self.reward, leaders, named, self.confirm)
        if not final.feasible:
            self.runner.logger.warning(
                f"no confirmed mask satisfies {final.reward.constraint}; the ticket is the closest"
            )
        report = {bits_of(mask): final.found(mask) for mask in final.ranked}
        for mask in final.ranked:
            names = ", ".join(name for name, other in named.items() if other == mask)
            line = ", ".join(f"{k} {v}" for k, v in report[bits_of(mask)].items())
            self.runner.logger.info(f"{self.network.with_mask(mask)}: {line} {names}")

        ticket = self.network.with_mask(final.chosen).replace(
            provenance=provenance(
                self.runner,
                settings=self._settings | {"steps": self.steps},
                searched_for=final.reward.describe(),
                feasible=final.feasible,
                rules={name: bits_of(mask) for name, mask in named.items()},
                confirmed=report,
                images=final.score.images,
                distinct_masks=len(self._scores),
            )
        )
        if is_main_process():
            # Scores on some images and on all do not compare: the front is then of the confirmed.
            others = self._scores if self.scorer.uses_all_images else {}
            final.pareto(others).save(self.work_dir / "pareto.json")
            self._draw(final.chosen)
            file = ticket.save(self.work_dir / "ticket.json")  # last: it says that all is done
            self.runner.logger.info(f"ticket {ticket} written to {file}")
        barrier()  # whoever reads the ticket next, on any rank, finds it written
        return {
            "accuracy": final.score.accuracy,
            "sparsity": ticket.sparsity,
            "reward": final.reward(final.chosen, final.score),
        }

    def _draw(self, chosen: Mask) -> None:
        """The figure, of scores on the images that were searched with."""
        reward = self.reward
        assert reward.none is not None and reward.full is not None
        none, full = self._references()
        draw_search(
            self.trace,
            self.work_dir / "search.png",
            self.network.backbone.blocks,
            reward_unit=reward.unit,
            cost=reward.cost,
            cost_unit=reward.tables[reward.cost].unit,
            quality=reward.axis,
            none=point(none, reward.none, reward),
            full=point(full, reward.full, reward),
            chosen=bits_of(chosen),
        )


def forget_search(work_dir: Path, keep: str | None = None) -> None:
    """Remove what a resumed search would go on from, and the results of the last one.

    Args:
        work_dir: Of the search.
        keep: A cost table of the user's, which is left even if it lies here.
    """
    costs = [_COST.format(cost) for cost in COSTS]
    for name in (_TRACE, _STATE, *costs, "ticket.json", "pareto.json", "search.png"):
        file = work_dir / name
        if keep is None or file.resolve() != Path(keep).resolve():
            file.unlink(missing_ok=True)
