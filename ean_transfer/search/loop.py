"""The search as a validation loop of mmengine's runner."""

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
from ean_transfer.engine.weights import load_model
from ean_transfer.errors import CheckpointError
from ean_transfer.search.cost.kept import cost_tables
from ean_transfer.search.provenance import provenance
from ean_transfer.search.search import Search
from ean_transfer.search.settings import SearchSettings
from ean_transfer.supernet import MaskEvaluator
from ean_transfer.supernet.sampling import shared_seed, was_trained_with_masks


@LOOPS.register_module()
class SearchLoop(BaseLoop):
    """Searches the connections of a frozen supernet; a validation loop to mmengine.

    The search itself is a :class:`~ean_transfer.search.search.Search`. This gives it a runner's
    supernets, held-out images, log and visualizer, and writes files into the runner's work dir:
    ``trace.jsonl`` and ``search_state.json`` while it runs, and at the end ``pareto.json``,
    ``verdict.json``, ``search.png`` and ``ticket.json``. With ``resume`` a stopped one continues,
    and gives the trace and the ticket of one that never stopped. The number of processes changes
    neither.

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
            first,
            self.dataloader,
            self.settings.build_scorer(),
            self.settings.bn,
            self.settings.images,
            supernets[1:],
            folder=self.work_dir,
        )
        self.checkpoints = checkpoints
        for supernet, file in zip(supernets, checkpoints, strict=True):
            self._load(supernet, file)
        held_out = runner.cfg.get("val_dataloader", {}).get("dataset")
        self.search = Search(
            self.mask_evaluator,
            self.settings,
            shared_seed(runner.seed),
            written={
                "reward": dict(settings["reward"]),
                "batch_size": self.dataloader.batch_size,
                "held_out_sha256": config_hash({"part": held_out}),
            },
            logger=runner.logger,
            scalars=lambda curves, step: runner.visualizer.add_scalars(curves, step=step),
        )
        self.search.keep_in(self.work_dir, resume)

    def _load(self, supernet: torch.nn.Module, file: str) -> None:
        """Give a supernet the weights of a checkpoint, whatever trained it."""
        if not was_trained_with_masks(load_model(supernet, file)):
            self.runner.logger.warning(
                f"{file}: does not say that it was trained with masks, as supernets now do: if it "
                "is a network trained with every connection, scores of its masks mean little"
            )

    def run(self) -> dict[str, float]:
        """Search; returns the final ticket's accuracy, sparsity and reward."""
        shape = self.mask_evaluator.image_shape
        tables = cost_tables(
            self.settings.reward.costs,
            self.mask_evaluator.backbone,
            self.work_dir,
            latency_file=self.settings.latency.file,
            latency_options=self.settings.latency.model_dump(exclude={"file"}, exclude_none=True),
            input_shape=None if shape is None else (8, *shape),
        )
        try:
            result = self.search.run(tables)
        except CheckpointError as error:  # of what the supernet scores
            raise CheckpointError(f"{self.checkpoints[0]}: {error}") from None
        ticket, final = result.ticket, result.final
        if is_main_process():
            result.pareto.save(self.work_dir / "pareto.json")
            result.verdict.save(self.work_dir / "verdict.json")
            result.figure(self.work_dir / "search.png")
            ticket = ticket.replace(provenance=provenance(self.runner, **result.facts))
            file = ticket.save(self.work_dir / "ticket.json")  # last: it says that all is done
            self.runner.logger.info(f"ticket {ticket} written to {file}")
        barrier()  # so that any process that reads the ticket next finds it
        return {
            self.mask_evaluator.scorer.metric.name: final.score.metric,
            "sparsity": ticket.sparsity,
            "reward": final.reward(final.chosen, final.score),
        }
