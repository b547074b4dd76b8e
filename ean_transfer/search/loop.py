"""The search loop: ask a strategy for masks, score them on the supernet, tell their rewards."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.registry import LOOPS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.attachment.network import unwrapped
from ean_transfer.engine.config import config_hash
from ean_transfer.engine.weights import load_model, weights_hash
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import file_hash
from ean_transfer.io.progress import progress_bar
from ean_transfer.search.confirm import Confirmed, confirm, masks_of_rules, point
from ean_transfer.search.cost.kept import cost_tables
from ean_transfer.search.figure import draw_search
from ean_transfer.search.history import History
from ean_transfer.search.provenance import provenance
from ean_transfer.search.resume import SavedSearch, forget_search
from ean_transfer.search.reward import Reward
from ean_transfer.search.settings import SearchSettings
from ean_transfer.search.strategies.base import build_strategy
from ean_transfer.supernet import Mask, MaskEvaluator
from ean_transfer.supernet.sampling import shared_seed, was_trained_with_masks
from ean_transfer.ticket.mask import bits_of


@LOOPS.register_module()
class SearchLoop(BaseLoop):
    """Searches the connections of a frozen supernet; a validation loop to mmengine.

    None and full are scored first, as references. Then, step by step, the strategy is asked for
    masks, those that are new are scored (divided among the processes, if there are several), and
    the strategy is told their rewards. At the end the leaders are scored on all held-out images,
    and the best of them becomes the ticket.

    While it runs, the loop writes ``trace.jsonl`` and ``search_state.json`` into the work dir, and
    at the end ``pareto.json``, ``search.png`` and ``ticket.json``. With ``resume`` a stopped search
    continues, and gives the trace and the ticket of one that never stopped. The number of
    processes changes neither.

    Whatever can be refused is refused in the constructor, before an earlier search is removed.

    Args:
        runner: Runner whose model is the supernet; its seed is the strategy's.
        dataloader: Held-out images in an order that mixes the classes.
        evaluator: Not used, see :class:`~ean_transfer.supernet.SupernetValLoop`.
        checkpoints: Checkpoints of one supernet, or of several trained with different seeds: a
            mask's score is its mean over all.
        resume: Whether to continue the search in the work dir, which is otherwise replaced.
        **settings: The config's ``search``, see
            :class:`~ean_transfer.search.settings.SearchSettings`.

    Raises:
        ConfigError, CheckpointError, TicketError: A setting or a checkpoint is not valid.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Any = None,
        *,
        checkpoints: Sequence[str],
        resume: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = evaluator
        self.settings = SearchSettings.of(settings)
        self.work_dir = Path(runner.work_dir)
        first = unwrapped(runner.model).to(memory_format=torch.channels_last)  # faster, same values
        supernets = [first, *(copy.deepcopy(first) for _ in checkpoints[1:])]
        self.mask_evaluator = MaskEvaluator(
            first, self.dataloader, self.settings.bn, self.settings.images, supernets[1:]
        )
        for supernet, file in zip(supernets, checkpoints, strict=True):
            self._load(supernet, file)
        self.network = self.mask_evaluator.backbone.ticket
        self.num_blocks = self.network.num_blocks
        self.strategy = build_strategy(
            self.settings.strategy, self.network.backbone.blocks, shared_seed(runner.seed)
        )
        hashes = [weights_hash(supernet.state_dict()) for supernet in supernets]
        self.saved = SavedSearch(self.work_dir, self._lasting_settings(hashes, settings["reward"]))
        restored = self.saved.restore(self.strategy) if resume else None
        if restored is None and is_main_process():
            if resume:
                trace = self.saved.trace_file
                runner.logger.warning(
                    f"{self.saved.state_file}: no such file to resume from, so the search starts "
                    f"at its first step{f' and {trace.name} is replaced' if trace.exists() else ''}"
                )
            forget_search(self.work_dir, keep=self.settings.latency.file)
        barrier()
        self._step, self._restored_trace = restored or (0, [])

    def _load(self, supernet: torch.nn.Module, file: str) -> None:
        """Give a supernet the weights of a checkpoint, whatever trained it."""
        if not was_trained_with_masks(load_model(supernet, file)):
            self.runner.logger.warning(
                f"{file}: does not say that it was trained with masks, as supernets now do: if it "
                "is a network trained with every connection, scores of its masks mean little"
            )

    def _lasting_settings(self, hashes: Sequence[str], reward: Any) -> dict[str, Any]:
        """The settings that must be equal for a stopped search to resume."""
        strategy = {name: v for name, v in self.settings.strategy.items() if name != "type"}
        table = self.settings.latency.file
        held_out = self.runner.cfg.get("val_dataloader", {}).get("dataset")
        return {
            "strategy": type(self.strategy).__name__,
            "strategy_options": strategy,
            "supernet_sha256": list(hashes),
            "seed": self.strategy.seed,
            "num_blocks": self.num_blocks,
            "masks_per_step": self.settings.masks_per_step,
            "reward": dict(reward),  # as the config has it, for the ticket's provenance
            "bn": self.mask_evaluator.bn,
            "images": self.mask_evaluator.images,
            "batch_size": self.dataloader.batch_size,
            "held_out_sha256": config_hash({"part": held_out}),
            "latency_sha256": file_hash(table) if table and Path(table).exists() else None,
        }

    # -- the search --------------------------------------------------------------------------

    def run(self) -> dict[str, float]:
        """Search; returns the final ticket's accuracy, sparsity and reward."""
        steps, logger = self.settings.steps, self.runner.logger
        history = History(self._measure_reward())
        history.restore(self._restored_trace, self.mask_evaluator.images)
        logger.info(
            f"search: {steps} steps of {self.settings.masks_per_step} masks of {self.num_blocks} "
            f"blocks, {type(self.strategy).__name__}, seed {self.strategy.seed}, "
            f"{self.mask_evaluator.images} images, BatchNorm statistics: {self.mask_evaluator.bn}; "
            f"reward: {history.reward.describe()}"
        )
        with progress_bar() as bar:
            task = bar.add_task("search", total=steps, completed=self._step, note="")
            while self._step < steps and self._one_step(history):
                note = history.progress()
                bar.update(task, completed=self._step, note=note)
                if self._step % 10 == 0 or self._step == steps:
                    logger.info(f"search step {self._step}/{steps}: {note}")
        if not history.trace:
            raise ConfigError(f"{type(self.strategy).__name__} proposed no mask at all")
        return self._finish(history)

    def _references(self) -> tuple[Mask, Mask]:
        """The masks of none and full."""
        return (False,) * self.num_blocks, (True,) * self.num_blocks

    def _measure_reward(self) -> Reward:
        """The reward, with the costs that it needs and the scores of none and full."""
        none, full = self.mask_evaluator.scores(self._references())
        tables = cost_tables(
            self.settings.reward.costs,
            self.mask_evaluator.backbone,
            self.work_dir,
            latency_file=self.settings.latency.file,
            latency_options=self.settings.latency.model_dump(exclude={"file"}, exclude_none=True),
            input_shape=(8, *self.mask_evaluator.image_shape),
        )
        reward = Reward.of(self.settings.reward, tables, none, full)
        reward.require_possible()
        return reward

    def _one_step(self, history: History) -> bool:
        """Ask, score, tell; False once the strategy has nothing left to propose."""
        policy = self.strategy.probabilities()
        masks = self.strategy.ask(self.settings.masks_per_step)
        if not masks:
            self.runner.logger.info(f"search step {self._step}: nothing left to propose")
            return False
        new = [mask for mask in dict.fromkeys(masks) if mask not in history.scores]
        for mask, score in zip(new, self.mask_evaluator.scores(new), strict=True):
            history.add(mask, score)
        self.strategy.tell(masks, [history.ranks[mask].reward for mask in masks])
        lines = history.record(self._step, masks, new, policy)
        self._step += 1
        if is_main_process():
            self.saved.save(self._step, self.strategy, lines)
            self.runner.visualizer.add_scalars(history.scalars(lines), step=self._step)
        return True

    # -- the ticket --------------------------------------------------------------------------

    def _finish(self, history: History) -> dict[str, float]:
        """Confirm the leaders on all images, write the best one's ticket, the front, the figure."""
        none, full = self._references()
        rules = masks_of_rules(
            history.trace, self.strategy.probabilities(), self.settings.last_steps
        )
        named = rules | {"none": none, "full": full}
        final = confirm(
            self.mask_evaluator, history.reward, history.leaders, named, self.settings.confirm
        )
        facts = {bits_of(mask): final.facts(mask) for mask in final.ranked}
        self._log(final, named, facts)
        ticket = self.network.with_mask(final.chosen).replace(
            provenance=provenance(
                self.runner,
                settings=self.saved.settings | {"steps": self.settings.steps},
                searched_for=final.reward.describe(),
                feasible=final.feasible,
                rules={name: bits_of(mask) for name, mask in named.items()},
                confirmed=facts,
                images=final.score.images,
                distinct_masks=len(history.scores),
            )
        )
        if is_main_process():
            # Scores on some images and on all do not compare: the front is then of the confirmed.
            others = history.scores if self.mask_evaluator.uses_all_images else {}
            final.pareto(others).save(self.work_dir / "pareto.json")
            self._draw(history, final.chosen)
            file = ticket.save(self.work_dir / "ticket.json")  # last: it says that all is done
            self.runner.logger.info(f"ticket {ticket} written to {file}")
        barrier()  # so that any process that reads the ticket next finds it
        return {
            "accuracy": final.score.accuracy,
            "sparsity": ticket.sparsity,
            "reward": final.reward(final.chosen, final.score),
        }

    def _log(self, final: Confirmed, named: dict[str, Mask], facts: dict[str, Any]) -> None:
        """One log line per finalist, with the names of the rules that proposed it."""
        if not final.feasible:
            self.runner.logger.warning(
                f"no confirmed mask satisfies {final.reward.constraint}; the ticket is the closest"
            )
        for mask in final.ranked:
            names = ", ".join(name for name, other in named.items() if other == mask)
            line = ", ".join(f"{name} {value}" for name, value in facts[bits_of(mask)].items())
            self.runner.logger.info(f"{self.network.with_mask(mask)}: {line} {names}")

    def _draw(self, history: History, chosen: Mask) -> None:
        """The figure, of scores on the images that were searched with."""
        reward = history.reward
        none, full = self._references()
        draw_search(
            history.trace,
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
