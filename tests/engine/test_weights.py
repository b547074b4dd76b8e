"""Checkpoints: safe to read, marked with their ticket, carried between tasks."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import load_checkpoint

from ean_transfer.engine.config import set_ticket
from ean_transfer.engine.training import evaluate, train
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import forbid_unsafe_loading, read_checkpoint
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.files import ticket_of


class Malicious:
    def __reduce__(self):
        return (os.system, ("echo harm",))


@pytest.fixture
def ticket_file(tmp_path: Path) -> Path:
    return Ticket.from_bits("10 01 00", "resnet14_cifar").save(tmp_path / "ticket.json")


@pytest.fixture
def trained(toy, tmp_path: Path, ticket_file: Path) -> Path:
    cfg = toy("classification/toy")
    set_ticket(cfg, str(ticket_file))
    train(cfg, tmp_path / "classification")
    return tmp_path / "classification" / "epoch_1.pth"


def test_a_checkpoint_carries_its_ticket_and_only_plain_data(trained: Path) -> None:
    checkpoint = torch.load(trained, weights_only=True)  # without any allowed class
    ticket = ticket_of(checkpoint)
    assert ticket is not None and str(ticket) == "10 01 00"
    assert ticket.attention_options == {"reduction": 4}


@pytest.mark.parametrize("task", ["segmentation", "crowd_counting"])
def test_weights_go_over_to_another_task_and_the_report_says_which(
    toy, trained: Path, ticket_file: Path, task: str
) -> None:
    cfg = toy(f"{task}/toy")
    set_ticket(cfg, str(ticket_file))
    model = MODELS.build(cfg.model)
    report = load_backbone(model, trained)
    assert not report.missing and not report.left_over
    theirs = read_checkpoint(trained)["state_dict"]
    ours = find_backbone(model).state_dict()
    assert set(report.loaded) == set(ours)
    assert all(torch.equal(ours[name], theirs[f"backbone.{name}"]) for name in ours)


def test_training_starts_from_the_given_weights(
    toy, trained: Path, ticket_file: Path, tmp_path: Path
) -> None:
    cfg = toy("crowd_counting/toy", **{"optim_wrapper.optimizer.lr": 0.0})
    set_ticket(cfg, str(ticket_file))
    runner = train(cfg, tmp_path / "counting", weights=trained)
    theirs = read_checkpoint(trained)["state_dict"]
    ours = find_backbone(runner.model).state_dict()
    assert torch.equal(ours["conv1.weight"], theirs["backbone.conv1.weight"])


@pytest.mark.parametrize("other", ["none", "full", "11 00 00"])
def test_weights_of_another_ticket_are_refused(
    toy, trained: Path, tmp_path: Path, other: str
) -> None:
    cfg = toy("segmentation/toy")
    if " " in other:
        other = str(Ticket.from_bits(other, "resnet14_cifar").save(tmp_path / "other.json"))
    set_ticket(cfg, other)
    with pytest.raises(TicketError, match="was trained with ticket 10 01 00"):
        load_backbone(MODELS.build(cfg.model), trained)
    with pytest.raises(TicketError, match="was trained with ticket 10 01 00"):
        train(cfg, tmp_path / "work", weights=trained)


def test_evaluate_takes_the_checkpoints_ticket_or_refuses_anothers(
    toy, trained: Path, tmp_path: Path
) -> None:
    metrics = evaluate(toy("classification/toy"), trained, tmp_path / "test")
    assert 0.0 <= metrics["accuracy/top1"] <= 100.0
    with pytest.raises(TicketError, match="was trained with ticket 10 01 00"):
        evaluate(toy("classification/toy"), trained, tmp_path / "test", use_its_ticket=False)


def test_training_resumes(toy, tmp_path: Path) -> None:
    train(toy("classification/toy"), tmp_path)
    cfg = toy("classification/toy")
    cfg.train_cfg.max_epochs = 2
    runner = train(cfg, tmp_path, resume=True)
    assert runner.epoch == 2 and (tmp_path / "epoch_2.pth").exists()


def test_a_copied_folder_resumes_from_its_own_checkpoint(toy, tmp_path: Path) -> None:
    train(toy("classification/toy", **{"optim_wrapper.optimizer.lr": 0.0}), tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")  # with the path of a's checkpoint on record
    weights = read_checkpoint(tmp_path / "b" / "epoch_1.pth")
    weights["state_dict"]["backbone.conv1.weight"] += 1.0
    torch.save(weights, tmp_path / "b" / "epoch_1.pth")
    cfg = toy("classification/toy", load_from="elsewhere.pth")
    cfg.train_cfg.max_epochs = 1
    runner = train(cfg, tmp_path / "b", resume=True)
    expected = weights["state_dict"]["backbone.conv1.weight"]
    assert torch.equal(find_backbone(runner.model).conv1.weight, expected)


def test_a_file_with_code_is_refused_by_name_and_never_run(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    file = tmp_path / "evil.pth"
    torch.save({"state_dict": {}, "meta": Malicious()}, file)
    with pytest.raises(CheckpointError, match=r"evil.pth: refused.*(system|posix)"):
        read_checkpoint(file)
    forbid_unsafe_loading()
    with pytest.raises(CheckpointError, match="refused"):  # mmengine's door is closed too
        load_checkpoint(torch.nn.Linear(1, 1), str(file))
    assert "harm" not in capfd.readouterr().out


def test_missing_broken_and_foreign_files_are_named(toy, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gone.pth: no such checkpoint"):
        read_checkpoint(tmp_path / "gone.pth")
    whole = tmp_path / "whole.pth"
    torch.save({"state_dict": {"fc.weight": torch.zeros(64)}}, whole)
    for content in (b"", b"not a checkpoint", b"hello world", b"{}", whole.read_bytes()[:-300]):
        (tmp_path / "broken.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match="broken.pth: cannot be read") as caught:
            read_checkpoint(tmp_path / "broken.pth")
        assert "weights_only" not in str(caught.value)  # no advice to load it unsafely
    with (tmp_path / "old.pth").open("wb") as stream:
        pickle.dump([1, 2], stream)
    with pytest.raises(CheckpointError, match="old.pth"):
        read_checkpoint(tmp_path / "old.pth")
    torch.save({"state_dict": {"fc.weight": torch.zeros(2)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="none of its 1 tensors belongs"):
        load_backbone(MODELS.build(toy("classification/toy").model), tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"meta": [1]}, "its meta to be a dict, found list"),
        ({"state_dict": None}, "its state_dict to be a dict, found NoneType"),
        ({"state_dict": {"fc.weight": [1.0]}}, "found 'fc.weight': list"),
        ({"state_dict": {7: torch.zeros(1)}}, "found 7: Tensor"),
    ],
)
def test_a_dict_of_other_things_is_refused(tmp_path: Path, content: dict, message: str) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=f"other.pth: expected.*{message}"):
        read_checkpoint(tmp_path / "other.pth")


@pytest.mark.parametrize("ticket", ["110", [1], {7: "110"}])
def test_what_is_no_ticket_in_a_checkpoint_is_refused(ticket) -> None:
    with pytest.raises(TicketError):
        ticket_of({"meta": {"ticket": ticket}})


def test_weights_of_another_width_or_task_are_refused_whole(
    toy, trained: Path, ticket_file: Path, tmp_path: Path
) -> None:
    cfg = toy("segmentation/toy", **{"model.backbone.base_channels": 16})
    cfg.model.decode_head.in_channels = 64
    set_ticket(cfg, str(ticket_file))
    with pytest.raises(CheckpointError, match="has shape.*another network"):
        load_backbone(MODELS.build(cfg.model), trained)
    with pytest.raises(CheckpointError, match="lacks .* of the network's"):
        evaluate(toy("segmentation/toy"), trained, tmp_path / "test")


def test_a_pretrained_backbone_of_another_ticket_is_refused(toy, trained: Path) -> None:
    pretrained = dict(type="Pretrained", checkpoint=str(trained), prefix="backbone.")
    same = toy("segmentation/toy")
    same.model.backbone.ticket = ticket_of(read_checkpoint(trained)).model_dump(mode="json")
    same.model.backbone.init_cfg = pretrained
    MODELS.build(same.model).init_weights()
    other = toy("segmentation/toy")
    other.model.backbone.ticket, other.model.backbone.init_cfg = "none", pretrained
    with pytest.raises(TicketError, match="was trained with ticket 10 01 00"):
        MODELS.build(other.model).init_weights()
