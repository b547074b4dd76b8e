"""Nothing in a stranger's file runs, whatever way it is read."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import pickle
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from ean_transfer import build_backbone
from ean_transfer.engine.training import train
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import CheckpointError
from ean_transfer.io import sources
from ean_transfer.io.checkpoint import forbid_unsafe_loading, read_checkpoint
from tests.io.helpers import Reduced


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
    "timm:{name}",
    "package:{name}",
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
    forbid_unsafe_loading()
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


def bomb(file: Path) -> None:
    torch.save({"state_dict": {"weight": torch.zeros(1 << 22)}}, file)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def no_checkpoint(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("letter.txt", "hello")


def old_tar(file: Path) -> None:
    with tarfile.open(file, "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name))


class OwnHistory(HistoryBuffer):
    pass


ODD_FILES = {
    "unpacks to a thousand times its size": (bomb, "unpack to 16.8 MB"),
    "an archive of other things": (no_checkpoint, "not a checkpoint"),
    "torch's format of 2016": (old_tar, "not a checkpoint"),
    "TorchScript": (
        lambda file: torch.jit.script(torch.nn.ReLU()).save(str(file)),
        "not a checkpoint",
    ),
    "a folder": (Path.mkdir, "found a folder"),
    "a pipe": (os.mkfifo, "a pipe"),
    "a device": (lambda file: file.symlink_to("/dev/zero"), "or a device"),
    "a link that leads nowhere": (lambda file: file.symlink_to(file.parent / "gone"), "no such"),
    "a subclass of what is allowed": (
        lambda file: torch.save({"message_hub": OwnHistory()}, file),
        "OwnHistory",
    ),
    "getattr": (
        lambda file: torch.save({"meta": Reduced(getattr, (torch.zeros(1), "shape"))}, file),
        "getattr",
    ),
    "a pickle in a pickle": (
        lambda file: torch.save({"meta": Reduced(pickle.loads, (b"N.",))}, file),
        "loads",
    ),
    "what contains itself": (lambda file: torch.save({"meta": endless()}, file), "meta to be"),
}


def endless() -> list:
    endless: list = []
    endless.append(endless)
    return endless


@pytest.mark.filterwarnings("ignore")  # TorchScript is deprecated
@pytest.mark.parametrize("kind", ODD_FILES)
def test_odd_files_are_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    make, message = ODD_FILES[kind]
    file = tmp_path / "odd.pth"
    make(file)
    forbid_unsafe_loading()
    for read in (read_checkpoint, CheckpointLoader.load_checkpoint):
        with pytest.raises(CheckpointError, match=f"odd.pth: .*{message}") as caught:
            read(str(file))
        assert "\n" not in str(caught.value)


def test_a_link_to_a_checkpoint_is_read(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(2)}}, tmp_path / "epoch_1.pth")
    (tmp_path / "best.pth").symlink_to("epoch_1.pth")
    assert read_checkpoint(tmp_path / "best.pth")["state_dict"]["weight"].sum() == 2


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
