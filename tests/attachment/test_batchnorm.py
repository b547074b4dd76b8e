"""BatchNorm folded into the convolution before it, on networks of any make."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import weight_norm
from torch.utils._pytree import tree_leaves
from torchvision.models.densenet import DenseNet
from torchvision.models.resnet import BasicBlock, ResNet

from ean_transfer import attach, build_backbone, set_mask
from ean_transfer.attachment.batchnorm import (
    FOLDED_NORMS,
    fold_norms,
    norms_of,
    take_foldings,
)
from ean_transfer.attachment.fitting import fitted
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import CheckpointError

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def used(model: nn.Module) -> nn.Module:
    """The model as after a training: all statistics are away from their initial values."""
    torch.manual_seed(1)
    with torch.no_grad():
        for norm in (module for module in model.modules() if isinstance(module, _BatchNorm)):
            norm.running_mean.normal_(0.0, 0.2)
            norm.running_var.uniform_(0.5, 1.5)
            if norm.affine:
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.normal_(0.0, 0.2)
    return model.eval()


@torch.no_grad()
def difference(model: nn.Module, other: nn.Module, x: Tensor = X) -> float:
    pairs = zip(tree_leaves(model(x)), tree_leaves(other(x)), strict=True)
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)


def folded(model: nn.Module, x: Tensor = X) -> tuple[nn.Module, dict[str, str]]:
    """A copy with its BatchNorm folded, which computes the same as the model."""
    used(model)
    changed = copy.deepcopy(model)
    names = fold_norms(changed, (x,))
    assert difference(model, changed, x) < 1e-5
    return changed, names


def one_stage() -> nn.Module:
    stages = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    return build_backbone("resnet50", "SE", deep_stem=True, **stages)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "ours": (lambda: build_backbone("resnet8_cifar", "ECA"), 9, 0),
    "ours, bottlenecks": (one_stage, 13, 0),
    "ours, pre-activation": (lambda: build_backbone("preresnet20_cifar", "SimAM"), 9, 10),
    "torchvision": (lambda: attach(ResNet(BasicBlock, [1, 1, 1, 1]), "SE"), 12, 0),
    "timm": (lambda: attach(timm.create_model("test_resnet"), "DIA"), 15, 0),
    "timm, with activations": (lambda: attach(timm.create_model("test_efficientnet"), "SE"), 13, 0),
    "norms before convolutions": (lambda: DenseNet(8, (1, 1), 16), 3, 4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_the_same_without_the_batch_norms_that_follow_a_convolution(name) -> None:
    build, gone, left = NETWORKS[name]
    model, names = folded(build())

    assert (len(names), len(norms_of(model))) == (gone, left)
    assert all(isinstance(model.get_submodule(conv), nn.Conv2d) for conv in names.values())


def test_attention_stays_attached_and_can_be_masked() -> None:
    plain = attach(timm.create_model("test_resnet"), "SE")
    model, _ = folded(plain)
    mask = [True, False, False, True]

    assert find_backbone(model).mask == (True,) * 4
    with torch.no_grad():
        before = model(X)
    set_mask(plain, mask), set_mask(model, mask)
    assert difference(plain, model) < 1e-5
    with torch.no_grad():
        assert not torch.allclose(model(X), before)


class Net(nn.Module):
    """Two convolutions and a BatchNorm, called as a test says."""

    def __init__(self, run: Callable[[Net, Tensor], object], **options: object) -> None:
        super().__init__()
        self.run = run
        self.conv = nn.Conv2d(3, 6, 3, **options)
        self.norm = nn.BatchNorm2d(6)
        self.other = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> object:
        return self.run(self, x)


def kept(net: Net, x: Tensor) -> Tensor:
    net.last = net.conv(x)  # somebody may look at it
    return net.norm(net.last)


UNCERTAIN: dict[str, Callable[[Net, Tensor], object]] = {
    "read twice": lambda net, x: net.norm(z := net.conv(x)) + z,
    "returned": lambda net, x: (net.norm(z := net.conv(x)), z),
    "kept": kept,
    "changed in between": lambda net, x: net.norm(net.conv(x).relu_()),
    "two norms": lambda net, x: net.norm(z := net.conv(x)) + net.other(z),
    "two inputs": lambda net, x: (net.norm(net.conv(x)), net.norm(x.repeat(1, 2, 1, 1))),
    "weight read": lambda net, x: net.norm(net.conv(x)) + net.conv.weight.sum(),
    "a view": lambda net, x: net.norm(net.conv(x)[:1]),
}  # fmt: skip


@pytest.mark.parametrize("name", UNCERTAIN)
def test_a_batch_norm_that_does_not_certainly_follow_a_convolution_stays(name) -> None:
    model, names = folded(Net(UNCERTAIN[name]))
    assert names == {} and len(norms_of(model)) == 2


def test_a_pair_that_is_called_twice_is_folded_once() -> None:
    _, names = folded(Net(lambda net, x: net.norm(net.conv(x)) + net.norm(net.conv(1 - x))))
    assert names == {"norm": "conv"}


@pytest.mark.parametrize(
    "options", [{"groups": 3}, {"bias": False}, {"padding_mode": "reflect", "padding": 1}]
)
def test_convolutions_of_all_kinds_are_folded(options) -> None:
    model, names = folded(Net(lambda net, x: net.norm(net.conv(x)), **options))
    assert names == {"norm": "conv"}
    assert {"conv.weight", "conv.bias"} == {
        n for n, _ in model.named_parameters() if "other" not in n
    }


def test_weights_that_are_computed_stay() -> None:
    net = Net(lambda net, x: net.norm(net.conv(x)))
    net.conv = weight_norm(net.conv)
    net.other = nn.BatchNorm2d(6, track_running_stats=False)
    assert fold_norms(net, (X,)) == {}


def test_a_hook_of_somebody_else_keeps_the_batch_norm() -> None:
    net = Net(lambda net, x: net.norm(net.conv(x)))
    net.norm.register_forward_hook(lambda *_: None)
    assert fold_norms(net, (X,)) == {}


def test_attention_on_a_convolution_keeps_the_batch_norm_after_it() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
    )
    attach(net, dict(type="SE", reduction=2), at=["2"], example=X)
    for mask in ([True], [False]):  # which may connect it later
        set_mask(net, mask)
        model, names = folded(net)
        assert names == {"1": "0"} and find_backbone(model).mask == tuple(mask)


def test_a_child_of_the_model_itself_is_folded_before_its_attention() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
    plain = attach(net, dict(type="SE", reduction=2), at=["1"], example=X)
    set_mask(plain, [False])
    model, names = folded(plain)
    assert names == {"1": "0"} and find_backbone(model).mask == (False,)
    for mask in ([True], [False]):
        set_mask(plain, mask), set_mask(model, mask)
        assert difference(plain, model) < 1e-5


def test_weights_load_into_a_network_that_takes_the_same_foldings() -> None:
    model, names = folded(attach(timm.create_model("test_resnet"), "SE"))
    checkpoint = {"meta": {FOLDED_NORMS: names}, "state_dict": model.state_dict()}
    fresh = attach(timm.create_model("test_resnet"), "SE").eval()

    with pytest.raises(CheckpointError, match="to train with"):
        fitted(checkpoint, fresh, "o.pth")
    take_foldings(fresh, checkpoint, "o.pth")
    fresh.load_state_dict(fitted(checkpoint, fresh, "o.pth", whole=True).weights)
    assert difference(model, fresh) == 0
    take_foldings(fresh, checkpoint, "o.pth")  # again, nothing happens
    with pytest.raises(CheckpointError, match="another network"):
        take_foldings(nn.Sequential(), checkpoint, "o.pth")
