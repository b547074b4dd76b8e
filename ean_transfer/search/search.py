"""The search itself, whoever runs it: ask a strategy for masks, score them, tell their rewards."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, broadcast_object_list, is_main_process

from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.files import file_hash
from ean_transfer.io.hashes import weights_hash
from ean_transfer.io.notices import notice
from ean_transfer.io.progress import progress_bar
from ean_transfer.search.budget import BudgetCheck, first_within_budget
from ean_transfer.search.confirm import confirm, masks_of_rules
from ean_transfer.search.cost.table import LATENCIES, Cost, CostTable
from ean_transfer.search.history import History
from ean_transfer.search.resume import SavedSearch, forget_search
from ean_transfer.search.reward import Reward
from ean_transfer.search.search_result import SearchResult
from ean_transfer.search.settings import SearchSettings
from ean_transfer.search.strategies import ExhaustiveStrategy
from ean_transfer.search.trace import TraceLine
from ean_transfer.search.verdict import Verdict
from ean_transfer.search.worthwhile import silent_places, worthwhile
from ean_transfer.supernet import Mask, MaskEvaluator
from ean_transfer.ticket import Ticket

Scalars = Callable[[dict[str, float], int], None]
"""Takes the curves to watch, and the number of steps done."""


class Search:
    """Searches the connections of a frozen supernet.

    None and full are scored first, as references. Then, step by step, the strategy is asked for
    masks, those that are new are scored (divided among the processes, if there are several), and
    the strategy is told their rewards. At the end the leaders are scored on all held-out images,
    and the best of them becomes the ticket.

    It knows neither configs nor runners. Every process has to make the same calls.

    Args:
        evaluator: Scores masks of the supernets.
        settings: What to search for, and how.
        seed: Seed of the strategy, the same on all processes.
        written: What else must stay equal for a stopped search to resume, and goes into the
            ticket's provenance: ``reward`` as the user wrote it, ``batch_size``, and
            ``held_out_sha256``, a hash of what describes the held-out images.
        logger: Gets a line every ten steps and for each finalist, and the verdict.
        scalars: Called after each step, in the main process.

    Attributes:
        network: Ticket of the supernet.
        lasting: Settings that must be equal for a stopped search to resume.
        saved: Where trace and state are kept, if :meth:`keep_in` was called.

    Raises:
        ConfigError: There is no such strategy or an option of it is not valid, or the reward names
            a metric that the scorer does not have.
    """

    def __init__(
        self,
        evaluator: MaskEvaluator,
        settings: SearchSettings,
        seed: int,
        *,
        written: Mapping[str, Any],
        logger: logging.Logger,
        scalars: Scalars | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.settings = settings
        self.logger = logger
        self.scalars = scalars
        self.network: Ticket = evaluator.backbone.ticket
        self.num_blocks = self.network.num_blocks
        self.metric = evaluator.scorer.metric
        settings.reward.require_known(self.metric)
        blocks = self.network.backbone.blocks
        self.strategy = settings.build_strategy(blocks, seed, self._importance())
        self.lasting = self._lasting_settings(written)
        self.saved: SavedSearch | None = None
        self._step = 0
        self._restored_trace: list[TraceLine] = []

    def _importance(self) -> list[float] | None:
        """The connections' Taylor importance, the same in all processes, if it is asked for."""
        if not self.settings.taylor_prior:
            return None
        computed = [self.evaluator.importance()]
        broadcast_object_list(computed)
        return computed[0]

    def _lasting_settings(self, written: Mapping[str, Any]) -> dict[str, Any]:
        table = self.settings.latency.file
        options = {name: v for name, v in self.settings.strategy.items() if name != "type"}
        if self.settings.taylor_prior:
            options["prior"] = "Taylor importance"
        # A table that was measured is kept, so other options would be ignored.
        measures = table is None and not set(LATENCIES).isdisjoint(self.settings.reward.costs)
        how = self.settings.latency.model_dump(exclude={"file"}) if measures else None
        return {
            "strategy": type(self.strategy).__name__,
            "strategy_options": options,
            "supernet_sha256": [weights_hash(net.state_dict()) for net in self.evaluator.models],
            "seed": self.strategy.seed,
            "num_blocks": self.num_blocks,
            "masks_per_step": self.settings.masks_per_step,
            "scorer": type(self.evaluator.scorer).__name__,
            "scorer_options": {n: v for n, v in self.settings.scorer.items() if n != "type"},
            "reward": written["reward"],
            "bn": self.evaluator.bn,
            "images": self.evaluator.images,
            "batch_size": written["batch_size"],
            "held_out_sha256": written["held_out_sha256"],
            "latency_sha256": file_hash(table) if table and Path(table).exists() else None,
            "latency": how,
        }

    def keep_in(self, folder: Path, resume: bool, within: Path | None = None) -> None:
        """Keep trace and state in a folder while the search runs.

        Args:
            folder: Folder that is there.
            resume: Whether to continue the search that the folder holds, which is otherwise
                removed.
            within: The one file that the folder's files are put into and taken from, if they are.

        Raises:
            CheckpointError: The state or the trace was torn or changed.
            ConfigError: The search was started with other settings.
        """
        self.saved = SavedSearch(folder, self.lasting, within)
        self.lasting = self.saved.settings
        restored = self.saved.restore(self.strategy) if resume else None
        if restored is None and is_main_process():
            if resume:
                trace = self.saved.trace_file
                text = "no such file to resume from, so the search starts at its first step"
                text += f" and {trace.name} is replaced" if trace.exists() else ""
                notice(self.logger, f"{self.saved.state_file}: {text}")
            forget_search(folder, keep=self.settings.latency.file)
        barrier()
        self._step, self._restored_trace = restored or (0, [])

    # -- the search --------------------------------------------------------------------------

    def run(self, tables: Mapping[Cost, CostTable], example: Any = None) -> SearchResult:
        """Search.

        Args:
            tables: Tables of the reward's costs, by name.
            example: What the network is called with when the ticket is timed at the end, for a
                budget on latency; by default random images of the table's shape.

        Raises:
            ConfigError: No mask satisfies the constraint, or the strategy proposes none at all.
            CheckpointError: The supernet's scores are not finite.
        """
        steps = self.settings.steps
        history = History(self._reward(tables))
        history.restore(self._restored_trace, history.reward.none.images)
        notice(
            self.logger,
            f"{steps} steps of {self.settings.masks_per_step} masks of {self.num_blocks} "
            f"blocks, {type(self.strategy).__name__}, seed {self.strategy.seed}, "
            f"{self.evaluator.images} images, BatchNorm statistics: {self.evaluator.bn}\n"
            f"reward: {history.reward.describe()}",
            "search",
        )
        asked = steps * self.settings.masks_per_step
        if isinstance(self.strategy, ExhaustiveStrategy) and asked < self.strategy.length:
            self.logger.warning(
                f"{asked} of {self.strategy.length} masks will be scored, in whose order the first "
                "blocks are connected last: set more steps, or another strategy"
            )
        with progress_bar() as bar:
            task = bar.add_task("search", total=steps, completed=self._step, note="")
            while self._step < steps and self._one_step(history):
                note = history.progress()
                bar.update(task, completed=self._step, note=note)
                if self._step % 10 == 0 or self._step == steps:
                    self.logger.info(f"search step {self._step}/{steps}: {note}")
        if not history.trace:
            raise ConfigError(f"{type(self.strategy).__name__} proposed no mask at all")
        return self._result(history, example)

    def _references(self) -> tuple[Mask, Mask]:
        """The masks of none and full."""
        return (False,) * self.num_blocks, (True,) * self.num_blocks

    def _reward(self, tables: Mapping[Cost, CostTable]) -> Reward:
        """The reward, relative to the scores of none and full."""
        if self.settings.reward.constraint is not None:
            self.settings.reward.constraint.require_possible(tables, self.num_blocks)
        if silent := silent_places(self.evaluator.backbone):
            self.logger.warning(
                f"{len(silent)} of {self.num_blocks} blocks have a branch that adds next to "
                "nothing, so their attention can hardly matter: train the supernet for longer, or "
                "with branches that do not start at zero (zero_init_residual=False)"
            )
        outcomes = self.evaluator.outcomes(self._references())
        ends = [outcomes[mask] for mask in self._references()]
        none, full = (outcome.score for outcome in ends)
        if not math.isfinite(none.loss + full.loss):
            raise CheckpointError(
                f"expected finite scores of the supernet, found the losses {none.loss} (none) and "
                f"{full.loss} (full): its weights are finite, but a layer overflows; train the "
                "supernet again with a lower learning rate"
            )
        reward = Reward.of(self.settings.reward, tables, none, full, self.metric)
        if self.settings.worthwhile is not None:
            looked = worthwhile(ends[0], ends[1], self.settings.worthwhile, reward.axis)
            level = logging.INFO if looked.answer == "yes" else logging.WARNING
            self.logger.log(level, f"is there anything to find? {looked}")
        return reward

    def _one_step(self, history: History) -> bool:
        """Ask, score, tell; False once the strategy has nothing left to propose."""
        policy = self.strategy.probabilities()
        masks = self.strategy.ask(self.settings.masks_per_step)
        if not masks:
            self.logger.info(f"search step {self._step}: nothing left to propose")
            return False
        new = [mask for mask in dict.fromkeys(masks) if mask not in history.scores]
        for mask, score in zip(new, self.evaluator.scores(new), strict=True):
            history.add(mask, score)
        self.strategy.tell(masks, [history.ranks[mask].reward for mask in masks])
        lines = history.record(self._step, masks, new, policy)
        self._step += 1
        if is_main_process():
            if self.saved is not None:
                self.saved.save(self._step, self.strategy, lines)
            if self.scalars is not None:
                self.scalars(history.scalars(lines), self._step)
        return True

    # -- the ticket --------------------------------------------------------------------------

    def _result(self, history: History, example: Any) -> SearchResult:
        """Confirm the leaders on all images, and choose the best."""
        none, full = self._references()
        likeliest = self.strategy.likeliest()
        rules = masks_of_rules(history.trace, likeliest, self.settings.last_steps)
        named = rules | {"none": none, "full": full}
        final = confirm(
            self.evaluator,
            history.reward,
            history.leaders,
            named,
            self.settings.confirm,
            self.strategy.seed + 1,  # baselines that the strategy did not draw as well
            partial(self._first_within_budget, history.reward, example),
        )
        # Scores on some images and on all do not compare: the front is then of the confirmed.
        others = history.scores if self.evaluator.uses_all_images else {}
        result = SearchResult(
            network=self.network,
            settings=self.lasting | {"steps": self.settings.steps},
            history=history,
            named=named,
            final=final,
            pareto=final.pareto(others),
            verdict=Verdict.of(
                final, len(history.scores), len(self.evaluator.models), history.merits
            ),
        )
        result.log(self.logger)
        return result

    def _first_within_budget(
        self, reward: Reward, example: Any, masks: list[Mask]
    ) -> tuple[list[Mask], BudgetCheck | None]:
        """Time finalists, if their latency has a budget. One process does and tells the others."""
        timed: list[Any] = [([], None)]
        if is_main_process():
            try:
                timed[0] = first_within_budget(self.evaluator.backbone, reward, masks, example)
            except ConfigError as error:
                self.logger.warning(f"the ticket's latency was not measured again: {error}")
        broadcast_object_list(timed)
        over, budget = timed[0]
        return over, budget
