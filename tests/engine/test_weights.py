"""Weights: marked with their ticket, carried between tasks, refused for another network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from ean_transfer.attachment.network import find_backbone
from ean_transfer.engine.config import set_ticket, set_ticket_of
from ean_transfer.engine.training import evaluate, train
from ean_transfer.engine.weights import load_backbone, load_model, write_network
from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.files import ticket_of


def build(cfg) -> nn.Module:
    return MODELS.build(cfg.model)


def test_a_checkpoint_carries_its_ticket_and_only_plain_data(trained: Path) -> None:
    checkpoint = torch.load(trained, weights_only=True)  # without any allowed class
    ticket = ticket_of(checkpoint)
    assert ticket is not None and str(ticket) == "10 01 00"
    assert ticket.attention_options == {"reduction": 4}


@pytest.mark.parametrize("task", ["segmentation", "crowd_counting"])
def test_weights_go_over_to_another_task_and_the_report_says_which(
    toy, trained: Path, task: str
) -> None:
    cfg = toy(f"{task}/toy")
    set_ticket_of(cfg, trained)
    model = build(cfg)
    report = load_backbone(model, trained)
    assert not report.missing and not report.left_over
    theirs = read_checkpoint(trained)["state_dict"]
    ours = find_backbone(model).state_dict()
    assert set(report.loaded) == set(ours)
    assert all(torch.equal(ours[name], theirs[f"backbone.{name}"]) for name in ours)


@pytest.mark.parametrize("other", ["none", "full", "11 00 00"])
def test_weights_of_another_ticket_are_refused(
    toy, trained: Path, tmp_path: Path, other: str
) -> None:
    cfg = toy("segmentation/toy")
    set_ticket(cfg, Ticket.from_bits(other, "resnet14_cifar") if " " in other else other)
    with pytest.raises(TicketError, match="was trained with ticket 10 01 00"):
        load_backbone(build(cfg), trained)
    with pytest.raises(TicketError, match="was trained with ticket 10 01 00"):
        train(cfg, tmp_path / "work", weights=trained)


def test_weights_of_another_width_or_task_are_refused_whole(
    toy, trained: Path, tmp_path: Path
) -> None:
    cfg = toy("segmentation/toy", **{"model.backbone.base_channels": 16})
    cfg.model.decode_head.in_channels = 64
    set_ticket_of(cfg, trained)
    with pytest.raises(CheckpointError, match="epoch_1.pth: conv1.weight has shape"):
        load_backbone(build(cfg), trained)
    with pytest.raises(CheckpointError, match="lacks .* of the network's"):
        evaluate(toy("segmentation/toy"), trained, tmp_path / "test")
    torch.save({"state_dict": {"fc.weight": torch.zeros(2)}}, tmp_path / "other.pth")
    for load in (load_backbone, load_model):
        with pytest.raises(CheckpointError, match="other.pth: none of its 1 tensors belongs"):
            load(build(toy("classification/toy")), tmp_path / "other.pth")


def test_a_pretrained_backbone_of_another_ticket_is_refused(toy, trained: Path) -> None:
    cfg = toy("segmentation/toy")
    cfg.model.backbone.init_cfg = dict(
        type="Pretrained", checkpoint=str(trained), prefix="backbone."
    )
    set_ticket_of(cfg, trained)
    build(cfg).init_weights()
    set_ticket(cfg, "none")
    with pytest.raises(TicketError, match="was trained with ticket 10 01 00"):
        build(cfg).init_weights()


def test_a_written_network_is_loaded_again_with_its_ticket(
    toy, tmp_path: Path, ticket: Ticket
) -> None:
    cfg = toy("classification/toy")
    set_ticket(cfg, ticket)
    model = build(cfg)
    write_network(model, tmp_path / "network.pth", dataset_meta={"classes": ["a"]})
    assert read_checkpoint(tmp_path / "network.pth")["meta"]["dataset_meta"] == {"classes": ["a"]}
    again = toy("classification/toy")
    set_ticket_of(again, tmp_path / "network.pth")
    loaded = build(again)
    load_model(loaded, tmp_path / "network.pth")
    assert all(map(torch.equal, loaded.state_dict().values(), model.state_dict().values()))
