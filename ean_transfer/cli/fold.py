"""What ``tools/asr.py`` does; its subcommands' names and options."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from ean_transfer.analysis.scoring import scorer
from ean_transfer.asr.figure import draw_stripe_scores, draw_stripes
from ean_transfer.asr.folding import fold, fold_means
from ean_transfer.asr.report import Action, BlockAnalysis, BlockReport, apply, block_names
from ean_transfer.asr.stripes import attention_values, stripe_scores
from ean_transfer.cli.parser import read_networks, require_folder, require_png
from ean_transfer.engine.config import load_config
from ean_transfer.engine.inference import load_trained
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import print_table
from ean_transfer.study.result import mean_and_spread
from ean_transfer.supernet import find_backbone

_ERRORS = ("MAE", "MSE", "RMSE", "NAE", "GAME")  # beginnings of metrics that are to be small


def stripes(
    config: str,
    checkpoint: str,
    *,
    out: str,
    images: int,
    history: str | None,
    cfg_options: dict[str, Any] | None,
) -> None:
    """Draw attention values, or their scores over the training."""
    require_png("--out", out)
    cfg = load_config(config, cfg_options)
    model = _load(cfg, checkpoint)
    names = block_names(model)
    if history:
        draw_stripe_scores(Path(history), names, Path(out))
    else:
        _require_images(images)
        values = attention_values(model, scorer(cfg, "test", images=images).batches)
        draw_stripes(values, names, Path(out))
        for block, score in stripe_scores(values).items():
            print(f"block {names[block]}: stripe score {score:.4f}")
    print(f"wrote {out}")


def report(
    config: str,
    checkpoint: str,
    *,
    choose_on: str,
    images: int,
    budget: float,
    metric: str,
    lower_is_better: bool,
    seed: int,
    json: str | None,
    save: str | None,
    cfg_options: dict[str, Any] | None,
) -> None:
    """What each connection is worth, and a proposal, verified on the test set."""
    _require_images(images)
    if budget < 0:
        raise ConfigError(f"expected --budget of 0 or more, found {budget}")
    if save and Path(save).exists() and not _is_proposal(save):
        raise ConfigError(
            f"{save}: expected a new file to --save in or one of an earlier report, found another, "
            "which would be replaced; choose another name"
        )
    for option, file in (("--save", save), ("--json", json)):
        if file:
            require_folder(option, file)
    if metric.upper().startswith(_ERRORS) and not lower_is_better:
        raise ConfigError(f"{metric} is an error: give --lower-is-better")
    cfg = load_config(config, cfg_options)
    model = _load(cfg, checkpoint)
    ticket = find_backbone(model).ticket
    if not ticket.connected:
        raise ConfigError(
            f"{checkpoint}: has no attention to choose about, its ticket is {ticket}; what is "
            "re-parameterised folds exactly (tools/export.py)"
        )
    choice = scorer(cfg, choose_on, metric, images, seed)
    test = scorer(cfg, "test", metric)
    print(f"ticket {ticket}; chosen on {choice.images} {choose_on} images")
    analysis = BlockAnalysis(model, choice.batches, choice, not lower_is_better)
    blocks = analysis.blocks()
    proposal = analysis.propose(blocks, budget)
    networks = {
        "as trained": analysis.model,
        "proposed": analysis.proposed(proposal),
        "all folded": analysis.everywhere("fold"),
        "all dropped": analysis.everywhere("drop"),
    }
    tested = {name: test(network) for name, network in networks.items()}

    print_table(block_rows(blocks, proposal.actions), f"{metric} lost, in its own unit; + is worse")
    print(
        f"proposed: loses {proposal.lost:+.2f} on the {choose_on} images, of {budget:.2f} allowed"
    )
    for name, network in networks.items():
        its = find_backbone(network).ticket
        print(f"test, {name:11} {tested[name]:.2f}   ticket {its}")
    if json:
        _write(
            json,
            {
                "ticket": str(ticket),
                "metric": metric,
                "chosen_on": choose_on,
                "images": choice.images,
                "seed": seed,
                "metric_on_them": analysis.base,
                "blocks": [asdict(block) for block in blocks],
                "budget": budget,
                "proposal": {str(block): action for block, action in proposal.actions.items()},
                "lost": proposal.lost,
                "test": tested,
            },
        )
    if save:
        trained_on = read_checkpoint(checkpoint).get("meta", {}).get("dataset_meta", {})
        proposed_from = {"checkpoint": checkpoint, "metric": metric, "budget": budget}
        write_network(
            networks["proposed"], save, dataset_meta=trained_on, proposed_from=proposed_from
        )
        print(f"wrote {save}")


def _is_proposal(file: str) -> bool:
    try:
        return "proposed_from" in read_checkpoint(file).get("meta", {})
    except CheckpointError:
        return False


def folded(
    config: str,
    networks: Sequence[str],
    *,
    images: int,
    metric: str,
    seed: int,
    json: str | None,
    cfg_options: dict[str, Any] | None,
) -> None:
    """Networks as trained, folded, and with their attention dropped."""
    _require_images(images)
    if json:
        require_folder("--json", json)
    named = read_networks(networks, several=True)
    cfg = load_config(config, cfg_options)
    calibration = scorer(cfg, "train", metric, images, seed).batches
    test = scorer(cfg, "test", metric)
    found: dict[str, dict[str, list[float]]] = {}
    for name, checkpoints in named.items():
        rows = [folded_scores(_load(cfg, file), calibration, test) for file in checkpoints]
        found[name] = {key: [row[key] for row in rows] for key in rows[0]}
        print(f"{name}: " + ", ".join(f"{k} {mean_and_spread(v)}" for k, v in found[name].items()))
    headings = list(next(iter(found.values())))
    table = [
        [name, *(mean_and_spread(values[key]) for key in headings)]
        for name, values in found.items()
    ]
    print_table([["network", *headings], *table], f"{metric} on the test set")
    if json:
        _write(json, {"metric": metric, "images": images, "seed": seed, "networks": found})


def folded_scores(model: nn.Module, calibration: Any, score: Any) -> dict[str, float]:
    """A network as trained, with its re-parameterised attention folded, with the kept attention
    folded as means too, and without any.

    Args:
        model: A trained network, which may be plain.
        calibration: Images for the means.
        score: Model -> its metric.
    """
    exact = fold(model) if find_backbone(model).ticket.to_fold else model
    connected = [block for block, bit in enumerate(find_backbone(exact).ticket.mask) if bit]
    drop: dict[int, Action] = dict.fromkeys(connected, "drop")
    trained = score(model)
    plain = score(exact) if exact is not model else trained
    return {
        "as trained": trained,
        "ASR folded": plain,
        "all folded": score(fold_means(exact, calibration)) if connected else plain,
        "kept dropped": score(apply(exact, drop, {})) if connected else plain,
    }


def block_rows(blocks: Sequence[BlockReport], actions: Mapping[int, Action]) -> list[list[str]]:
    """The table of blocks, headings first."""

    def number(value: float | None, spec: str) -> str:
        return "" if value is None else format(value, spec)

    rows = [["block", "in the ticket", "stripe score", "lost if dropped", "if folded", "proposed"]]
    for block in blocks:
        rows.append(
            [
                block.name,
                "yes" if block.connected else "no",
                number(block.stripe, ".3f"),
                number(block.drop, "+.2f"),
                number(block.fold, "+.2f"),
                actions.get(block.block, ""),
            ]
        )
    return rows


def _load(cfg: Config, checkpoint: str) -> nn.Module:
    return load_trained(cfg, checkpoint, BaseModel)


def _require_images(images: int) -> None:
    if images < 2:
        raise ConfigError(f"expected --images of 2 or more, found {images}")


def _write(file: str, data: dict[str, Any]) -> None:
    write_atomically(Path(file), json_format.dumps(data, indent=1) + "\n")
