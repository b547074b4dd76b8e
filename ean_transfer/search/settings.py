"""Everything a config's ``search`` may say, checked before anything is trained or removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from mmengine.config import ConfigDict
from pydantic import AfterValidator, BeforeValidator

from ean_transfer.analysis.latency import Rounds
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Checked, Positive, PositiveNumber
from ean_transfer.registry import SCORERS
from ean_transfer.search.cost.measuring import Method
from ean_transfer.search.cost.table import ImageShape
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.search.strategies.base import Strategy, build_strategy
from ean_transfer.supernet.scoring import Scorer


def _with_a_type(cfg: dict[str, Any]) -> dict[str, Any]:
    if "type" not in cfg:
        raise ValueError("expected a dict with a type, e.g. dict(type='RandomStrategy')")
    return cfg


def _none_is_the_default(cfg: Any) -> Any:
    return {} if cfg is None else cfg


class LatencySettings(Checked):
    """A config's ``search.latency``: where a reward's latencies come from.

    Args:
        file: Cost table that was measured before; without one, latencies are measured now.
        input_shape: (N, C, H, W) to measure with; by default 8 images of the held-out ones' size.
        rounds: Number of times that everything is measured.
        method: ``"within"`` or ``"toggle"``, see
            :func:`~ean_transfer.search.cost.measuring.measure_connections`.
    """

    file: str | None = None
    input_shape: ImageShape | None = None
    rounds: Rounds = 40
    method: Method = "within"


class SearchSettings(Checked):
    """A config's ``search``.

    Args:
        strategy: Type and options of the :class:`Strategy`, without blocks and seed.
        reward: What is searched for.
        steps: Number of times that the strategy is asked.
        masks_per_step: Number of masks asked for at a time.
        scorer: Type and options of the task's :class:`~ean_transfer.supernet.scoring.Scorer`.
        bn: BatchNorm statistics of a mask, see :class:`~ean_transfer.supernet.MaskEvaluator`.
        images: Number of held-out images that masks are scored on while searching; all by default.
        confirm: Number of leaders that are scored on all images at the end, besides the masks that
            the rules propose.
        last_steps: Number of final steps among which the most frequent mask is sought.
        worthwhile: Smallest advantage over the plain network that is worth having, in the unit of
            what the masks are compared by (nats of loss, points of accuracy). With it, the search
            says at its start whether there is anything to find.
        taylor_prior: Whether the strategy, which must take a ``prior``, starts from each
            connection's Taylor importance, see
            :func:`~ean_transfer.supernet.importance.connection_importance`.
        supernets: Number of supernets to train, with consecutive seeds, if none is given.
        latency: Where the latencies come from, for a reward with latency.
    """

    what = "search"

    strategy: Annotated[dict[str, Any], AfterValidator(_with_a_type)]
    reward: RewardSettings
    scorer: Annotated[dict[str, Any], AfterValidator(_with_a_type)] = {
        "type": "ClassificationScorer"
    }
    steps: Positive = 300
    masks_per_step: Positive = 3
    bn: Literal["batch", "recalibrated", "running"] = "batch"
    images: Positive | None = None
    confirm: Positive = 8
    last_steps: Positive = 30
    worthwhile: PositiveNumber | None = None
    taylor_prior: bool = False
    supernets: Positive = 1
    latency: Annotated[LatencySettings, BeforeValidator(_none_is_the_default)] = LatencySettings()

    def build_scorer(self) -> Scorer:
        """Build the task's scorer.

        Raises:
            ConfigError: There is no such scorer or an option of it is not valid, or the reward
                names another metric than the scorer's.
        """
        try:
            scorer: Scorer = SCORERS.build(dict(self.scorer))
        except (KeyError, TypeError) as error:  # the registry's, and those of users' scorers
            reason = str(error).strip().strip("'\"").splitlines()[0]
            raise ConfigError(f"search.scorer {self.scorer}: {reason}") from None
        self.reward.require_known(scorer.metric)
        return scorer

    def build_strategy(
        self, blocks: Sequence[int], seed: int, importance: Sequence[float] | None = None
    ) -> Strategy:
        """Build the strategy; with a budget of connections it proposes no other masks.

        Args:
            blocks: Number of residual blocks in each stage.
            seed: Seed of the strategy.
            importance: The connections' Taylor importance, used with ``taylor_prior``; without it
                the strategy is only checked.

        Raises:
            ConfigError: There is no such strategy or an option of it is not valid, or no mask has
                the number of connections, or the sparsity, that the reward's constraint asks for.
        """
        cfg, constraint = self.strategy, self.reward.constraint
        if self.taylor_prior:
            cfg = {**cfg, "prior": importance or [0.0] * sum(blocks)}
        if constraint is not None:
            constraint.require_possible({}, sum(blocks))
            allowed = constraint.allowed_connections(sum(blocks))
            if allowed is not None:
                cfg = {"connections": (allowed[0], allowed[-1]), **cfg}
        return build_strategy(cfg, blocks, seed)

    @classmethod
    def of(cls, cfg: Mapping[str, Any]) -> SearchSettings:
        """The settings of a config's ``search``.

        Raises:
            ConfigError: A setting is missing, unknown or of a wrong value.
        """
        # A config's values may be lazy imports, which only its own conversion resolves.
        return cls(**ConfigDict(cfg).to_dict())
