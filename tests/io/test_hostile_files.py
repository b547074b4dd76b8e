"""Nothing in a stranger's file runs, whatever way it is read."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import pickle
import threading
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader

from ean_transfer import build_backbone
from ean_transfer.engine.training import train
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import CheckpointError
from ean_transfer.io import sources
from ean_transfer.io.checkpoint import read_checkpoint


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder on the loopback, and its address; downloads go to a folder of their own."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    address = f"http://127.0.0.1:{server.server_port}"
    names = {name: f"{address}/{name}.pth" for name in ("evil", "good")}
    for scheme in sources._SOURCES:
        monkeypatch.setitem(sources._SOURCES, scheme, (names.get, names.keys))
    yield folder, address
    server.shutdown()


SCHEMES = (
    "{folder}/{name}.pth",
    "file://{folder}/{name}.pth",
    "{address}/{name}.pth",
    "torchvision://{name}",
    "torchvision:{name}",
    "modelzoo://{name}",
    "mmpretrain:{name}",
    "mmcls://{name}",
    "open-mmlab://{name}",
    "openmmlab://{name}",
)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("protocol", ["zip", "legacy", "pickle"])
def test_a_pickle_runs_by_no_scheme_and_no_reader(served, tmp_path, scheme, protocol) -> None:
    folder, address = served
    marker, file = tmp_path / "ran", folder / "evil.pth"
    content = {"state_dict": {"conv1.weight": torch.zeros(1)}, "meta": {"x": Payload(marker)}}
    if protocol == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=protocol == "zip")
    source = scheme.format(folder=folder, address=address, name="evil")
    pretrained = {"type": "Pretrained", "checkpoint": source}
    for read in (
        lambda: read_checkpoint(source),
        lambda: CheckpointLoader.load_checkpoint(source),
        lambda: build_backbone("resnet14_cifar", base_channels=8, init_cfg=pretrained),
    ):
        with pytest.raises(CheckpointError, match="evil"):
            read()
        assert not marker.exists()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_come_by_every_scheme_and_must_fit(served, scheme) -> None:
    folder, address = served
    plain = build_backbone("resnet14_cifar", base_channels=8)
    prefix = "backbone." if scheme.startswith("mmcls") else ""  # names whole classifiers
    weights = {f"{prefix}{name}": tensor for name, tensor in plain.state_dict().items()}
    torch.save({"state_dict": weights}, folder / "good.pth")
    source = scheme.format(folder=folder, address=address, name="good")
    pretrained = {"type": "Pretrained", "checkpoint": source}
    network = build_backbone("resnet14_cifar", base_channels=8, init_cfg=pretrained)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, plain.state_dict()[name]), name
    model = torch.nn.Module()
    model.backbone = build_backbone("resnet14_cifar", base_channels=8)
    assert not load_backbone(model, source).missing
    with pytest.raises(CheckpointError, match="belongs"):
        build_backbone("resnext29_2x8d_cifar", init_cfg=dict(pretrained, prefix="head"))


@pytest.mark.parametrize("scheme", ["{folder}/good.pth", "{address}/good.pth"])
def test_a_hash_is_verified(served, scheme) -> None:
    folder, address = served
    torch.save({"state_dict": {"weight": torch.ones(2)}}, folder / "good.pth")
    digest = hashlib.sha256((folder / "good.pth").read_bytes()).hexdigest()
    source = scheme.format(folder=folder, address=address)
    assert read_checkpoint(f"{source}#sha256={digest[:16]}")["state_dict"]
    for wrong in ("0" * 64, digest[:7]):
        with pytest.raises(CheckpointError, match=wrong):
            read_checkpoint(f"{source}#sha256={wrong}")


@pytest.mark.parametrize("source", ["s3://bucket/a.pth", "pavi://a", "hf://timm/resnet18"])
def test_other_schemes_are_refused_by_name(source) -> None:
    with pytest.raises(CheckpointError, match=source.partition(":")[0]):
        CheckpointLoader.load_checkpoint(source)


def test_addresses_that_end_alike_are_two_files(served) -> None:
    folder, address = served
    for number in (1, 2):
        (folder / str(number)).mkdir()
        weights = {"state_dict": {"weight": torch.full((1,), float(number))}}
        torch.save(weights, folder / str(number) / "model.pth")
    for number in (1, 2):
        weights = read_checkpoint(f"{address}/{number}/model.pth")["state_dict"]["weight"]
        assert weights.item() == number


def test_resuming_does_not_execute_a_checkpoints_text(toy, tmp_path) -> None:
    work_dir, marker = tmp_path / "run", tmp_path / "ran"
    train(toy("classification/toy"), work_dir, quiet=True)
    file = work_dir / "epoch_1.pth"
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["meta"]["config"] = f"import os\nos.mkdir({str(marker)!r})\n"
    torch.save(checkpoint, file)
    cfg = toy("classification/toy")
    cfg.train_cfg.max_epochs = 2
    runner = train(cfg, work_dir, resume=True, quiet=True)
    assert runner.epoch == 2
    assert not marker.exists()
