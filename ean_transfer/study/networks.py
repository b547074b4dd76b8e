"""The network of every arm: its ticket, its attention, and the backbone that they give."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.analysis.latency import compare_latencies
from ean_transfer.asr import fold
from ean_transfer.attachment.network import find_backbone
from ean_transfer.attachment.parameters import count_attention_parameters
from ean_transfer.engine.config import backbone_configs, set_ticket
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.errors import ConfigError
from ean_transfer.search.baselines import RULES
from ean_transfer.study.arms import Arm
from ean_transfer.study.plan import StudyPlan
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.transfer import carry


@dataclass(frozen=True, eq=False)
class Network:
    """What an arm is trained with.

    Attributes:
        arm: The arm.
        ticket: ``none``, ``full``, or the ticket.
        backbone: A backbone of that attention and ticket, as all tasks have it; not trained.
    """

    arm: Arm
    ticket: str | Ticket
    backbone: Any  # a module and a MaskableNetwork

    @cached_property
    def deployed(self) -> Any:
        """The backbone as it is used after training, when attention to be folded is gone."""
        return fold(self.backbone) if self.backbone.ticket.to_fold else self.backbone


Networks = Mapping[tuple[Arm, int], Network]
"""(arm, seed) -> network; only random arms have another one for each seed."""


def set_arm(cfg: Config, arm: Arm, ticket: str | Ticket) -> None:
    """Give a config's ticketed backbones an arm's attention and ticket."""
    if arm.attention is not None:
        for backbone in backbone_configs(cfg.model):
            backbone["attention"] = arm.attention.config
            backbone["asr"] = arm.attention.asr
    set_ticket(cfg, ticket)


def without_attention(cfg: Config) -> Config:
    """A copy without what a config says of attention: all that a network without any depends on."""
    cfg = copy.deepcopy(cfg)
    for backbone in backbone_configs(cfg.model):
        for key in ("attention", "sharing", "ticket", "init", "asr"):
            backbone.pop(key, None)
    return cfg


def build_networks(
    plan: StudyPlan, tickets: Mapping[str, Ticket], configs: Mapping[str, Config], folder: Path
) -> Networks:
    """Build the network of every arm and seed, and write the tickets into the study's folder.

    Args:
        plan: What is compared.
        tickets: Arm ``ticket`` and further ones -> the ticket that was searched or given.
        configs: Task -> its config.
        folder: The study's work dir, which gets e.g. ``ticket.json`` and ``random0.json``.

    Raises:
        ConfigError: The tasks do not have the same backbone, or arms not the same places.
        TicketError: The ticket does not fit the tasks' backbone.
    """
    tickets["ticket"].save(folder / "ticket.json")
    # The options of the arms full, whose hidden channels may be rounded, are those of all arms.
    attentions = dict.fromkeys(arm.attention for arm in plan.compared if arm.attention is not None)
    full = {one: _common_backbone(configs, Arm("full", one), "full").ticket for one in attentions}
    networks: dict[tuple[Arm, int], Network] = {}
    for arm in plan.compared:
        for seed in plan.seeds:
            first = networks.get((arm, plan.seeds[0]))
            if first is not None and arm.kind != "random":
                networks[arm, seed] = first
                continue
            own = _ticket_of(arm, tickets, seed)
            if isinstance(own, Ticket):
                if arm.attention is not None:
                    like = full[arm.attention]
                    own = carry(own, attention=like.attention, options=like.attention_options)
                number = seed if arm.kind == "random" else ""
                own.save(folder / f"{arm.folder}{number}.json")
            networks[arm, seed] = Network(arm, own, _common_backbone(configs, arm, own))
    _require_same_places(networks)
    return networks


def _require_same_places(networks: Networks) -> None:
    """Refuse arms whose bits stand for other blocks: a ticket may bring places of its own."""
    # A plain network has attention at no place, whichever its ticket names.
    connected = [one for one in networks.values() if not one.backbone.ticket.is_plain]
    for one, other in pairwise(connected):
        specs = [network.backbone.ticket.backbone for network in (one, other)]
        if specs[0] != specs[1]:
            first, second = (", ".join(spec.places) or "residual blocks" for spec in specs)
            raise ConfigError(
                f"arm {one.arm.title} has attention at {first}, arm {other.arm.title} at {second}, "
                "and a study compares masks of the same places: name these in the tasks' configs, "
                "as `at` of the backbone"
            )


def _ticket_of(arm: Arm, tickets: Mapping[str, Ticket], seed: int) -> str | Ticket:
    if arm.kind in ("none", "full"):
        return arm.kind
    ticket = tickets.get(arm.kind, tickets["ticket"])
    if arm.kind == "random":
        ticket = ticket.shuffled(seed)
    elif arm.kind in RULES:
        ticket = ticket.with_mask(RULES[arm.kind](ticket.num_blocks))
    elif arm.kind == "asr":
        ticket = ticket.with_mask((True,) * ticket.num_blocks).with_asr()
    return ticket


def _common_backbone(configs: Mapping[str, Config], arm: Arm, ticket: str | Ticket) -> Any:
    # Whole models, since an error in a head would otherwise come after hours of other trainings.
    backbones: dict[str, Any] = {}
    for task, cfg in configs.items():
        cfg = copy.deepcopy(cfg)
        set_arm(cfg, arm, ticket)
        with config_errors(cfg):
            backbones[task] = find_backbone(MODELS.build(cfg.model))
    first, *others = backbones
    for other in others:
        if backbones[first].ticket.id != backbones[other].ticket.id:
            raise ConfigError(
                f"tasks {first} and {other} have different networks (backbone, attention, options "
                "or sharing), and a study compares tickets on one: set their backbones alike"
            )
    return backbones[first]


def count_parameters(plan: StudyPlan, networks: Networks) -> dict[Arm, float]:
    """Arm -> parameters in its attention modules when deployed; the mean of random tickets."""
    return {
        arm: fmean(count_attention_parameters(networks[arm, seed].deployed) for seed in plan.seeds)
        for arm in plan.compared
    }


def measure_increments(
    plan: StudyPlan, networks: Networks, *, compiled: bool = False
) -> dict[Arm, dict[str, float]]:
    """Arm -> time of a forward pass relative to none's: median and quartiles, of the first seed.

    Without the arm none there is nothing to compare with, and the result is empty.

    Args:
        plan: What is compared.
        networks: The network of every arm and seed.
        compiled: Whether to compile the networks first.

    Raises:
        ConfigError: torch cannot compile a network.
    """
    if "none" not in plan.arms:
        return {}
    x = torch.randn(plan.batch_size, 3, plan.image_size, plan.image_size)
    models = {arm.title: networks[arm, plan.seeds[0]].deployed for arm in plan.compared}
    latencies = compare_latencies(models, x, plain=Arm("none").title, compiled=compiled)
    increments = {}
    for arm in plan.compared:
        latency = latencies[arm.title]
        lower, upper = latency.over_plain_quartiles
        increments[arm] = {
            "median": latency.over_plain,
            "lower": lower,
            "upper": upper,
            "seconds": latency.ms / 1000.0,
        }
    return increments
