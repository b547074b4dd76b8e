"""Places of one's own: which modules names and patterns stand for, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ean_transfer.attachment.families import backbone_name
from ean_transfer.attachment.places import blocks_at
from ean_transfer.errors import ConfigError


class Net(nn.Module):
    """An encoder of two stages whose neck is registered before it; a head that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.neck = nn.Sequential(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.encoder = nn.ModuleDict(
            {
                "layer1": nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)),
                "layer2": nn.Sequential(nn.Conv2d(8, 16, 3), nn.SiLU(), nn.Conv2d(16, 16, 3)),
            }
        )
        self.either = nn.ReLU()
        self.pair = Pair()
        self.unused = nn.Conv2d(3, 3, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.either(self.encoder["layer1"](x))
        x = self.either(self.encoder["layer2"](x))
        x, _ = self.pair(self.neck(x))
        return self.head(x.mean(dim=(2, 3)))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


X = torch.zeros(1, 3, 12, 12)


def names(*patterns: str) -> list[str]:
    return [block.name for block in blocks_at(Net(), patterns, X)]


def test_a_star_stands_for_the_children_and_not_for_what_is_in_them() -> None:
    assert names("encoder.layer1.*") == ["encoder.layer1.0", "encoder.layer1.1"]
    assert names("encoder.*") == ["encoder.layer1", "encoder.layer2"]
    assert names("encoder.layer[2].?") == [f"encoder.layer2.{i}" for i in range(3)]


def test_places_are_in_forward_order_with_a_stage_per_run_of_equal_parent_and_channels() -> None:
    blocks = blocks_at(Net(), ["neck", "encoder.layer2.*", "encoder.layer1.*"], X)
    assert [(block.name, block.stage, block.channels) for block in blocks] == [
        ("encoder.layer1.0", 0, 8),
        ("encoder.layer1.1", 0, 8),
        ("encoder.layer2.0", 1, 16),
        ("encoder.layer2.1", 1, 16),
        ("encoder.layer2.2", 1, 16),
        ("neck", 2, 8),
    ]
    assert backbone_name(blocks) == "Conv2d+SiLU+Sequential_8-16-8"


def test_attention_acts_on_the_output_of_the_module_itself() -> None:
    model = Net()
    (block,) = blocks_at(model, "neck", X)
    assert block.module is block.end is model.neck


def test_only_one_forward_is_run_and_leaves_the_model_as_it_was() -> None:
    model = Net().train()
    model.neck[1].eval()
    calls: list[bool] = []
    model.register_forward_hook(lambda module, *_: calls.append(module.training))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    blocks_at(model, ["neck", "encoder.layer1"], X)
    assert calls == [False]
    assert model.training and not model.neck[1].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.neck.modules())


def test_without_an_example_zeros_of_the_models_dtype_are_taken() -> None:
    class Strict(Net):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape == (1, 3, 224, 224) and x.dtype == torch.float64
            return super().forward(x[..., :12, :12])

    assert len(blocks_at(Strict().double(), "neck")) == 1


def test_a_model_of_several_arguments_takes_a_tuple() -> None:
    class Masked(Net):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return super().forward(x * mask)

    assert len(blocks_at(Masked(), "neck", (X, torch.ones(12, 12)))) == 1
    with pytest.raises(ConfigError, match=r"Masked does not run on the example .*example="):
        blocks_at(Masked(), "neck", X)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([], "expected at least one name"),
        (["encoder.layer3.*"], r"'encoder.layer3.\*' matches no module of Net: .*encoder.layer2"),
        (["layer1"], "'layer1' matches no module.*encoder.layer1"),
        (["neck", "n*"], "neck is named twice, by 'neck' and 'n.'"),
        (["encoder.layer1.1", "encoder.*"], r"encoder.layer1.1 .* lies within encoder.layer1 "),
        (["unused"], r"unused \(Conv2d\) is not called"),
        (["head"], r"head \(Linear\): expected an output \(N, C, H, W\), found \(1, 5\)"),
        (["pair"], r"pair \(Pair\): expected an output .*, found tuple"),
        (["either"], r"either \(ReLU\) is called 2 times: .* channels, found 8, 16"),
    ],
)
def test_what_is_no_place_is_refused_in_one_line(patterns: Any, message: str) -> None:
    model = Net()
    with pytest.raises(ConfigError, match=message) as caught:
        blocks_at(model, patterns, X)
    assert "\n" not in str(caught.value)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
