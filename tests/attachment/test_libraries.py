"""Networks of timm and torchvision are built from their names."""

from __future__ import annotations

import sys

import pytest
import torch

from ean_transfer.attachment.libraries import build_network, is_library_network
from ean_transfer.errors import ConfigError


def test_networks_of_both_libraries_are_built_with_their_own_arguments() -> None:
    ours = build_network("torchvision:resnet18", num_classes=3)
    assert type(ours).__module__ == "torchvision.models.resnet"
    assert ours.fc.out_features == 3
    pytest.importorskip("timm")
    # The part after the point names published weights, which are not fetched.
    features = build_network("timm:resnet18.a1_in1k", features_only=True, out_indices=(1, 2))
    assert [m.shape[1] for m in features(torch.zeros(1, 3, 32, 32))] == [64, 128]


def test_a_detector_is_built_without_a_download(monkeypatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("downloaded")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    detector = build_network("torchvision:fasterrcnn_mobilenet_v3_large_320_fpn", num_classes=2)
    assert type(detector).__name__ == "FasterRCNN"


def test_a_name_says_whether_it_is_of_a_library() -> None:
    assert is_library_network("timm:resnet50") and is_library_network("torchvision:resnet50")
    assert not is_library_network("resnet50") and not is_library_network("timm")
    assert not is_library_network("mmpretrain:resnet50_8xb32_in1k")


@pytest.mark.parametrize(
    ("name", "kwargs", "words"),
    [
        ("resnet50", {}, ["timm:NAME", "torchvision:NAME", "resnet50"]),
        ("torchvision:resnet5", {}, ["resnet50"]),
        ("torchvision:resnet50.a1", {}, ["resnet50.a1"]),
        ("torchvision:resnet18", dict(depth=3), ["depth"]),
        ("timm:resnt50", {}, ["resnet50"]),
        ("timm:resnet18", dict(depth=3), ["depth"]),
        ("timm:resnet18.absent", {}, ["absent"]),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(name, kwargs, words) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    with pytest.raises(ConfigError) as error:
        build_network(name, **kwargs)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="pip install timm"):
        build_network("timm:resnet50")
