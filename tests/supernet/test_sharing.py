"""Masks of attached networks share work, and get the outputs of each mask alone."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from dataclasses import dataclass

import pytest
import timm
import torch
from torch import nn

from ean_transfer import attach
from ean_transfer.attachment.network import find_backbone
from ean_transfer.supernet.sharing import RememberedCalls, Work
from ean_transfer.supernet.statistics import OwnStatistics
from tests.attachment.networks import DIA, SE, SMALL, X, small


def outputs_under(work: Work, net: nn.Module, images=X) -> dict:
    outputs = {}
    for mask in work.masks:
        work.use(mask)
        outputs[mask] = net(images)
    return outputs


def every_mask(net: nn.Module) -> list:
    return list(itertools.product((True, False), repeat=find_backbone(net).ticket.num_blocks))


def require_equal_to_each_alone(net: nn.Module, step: int = 1) -> None:
    network, masks = find_backbone(net), every_mask(net)[::step]
    with RememberedCalls(network, masks) as work, torch.no_grad():
        shared = outputs_under(work, net)
    assert network.mask == (True,) * len(masks[0])
    with Work(network, masks) as work, torch.no_grad():
        alone = outputs_under(work, net)
    assert len({tuple(value.flatten().tolist()) for value in alone.values()}) == len(masks)
    assert all(torch.equal(shared[mask], alone[mask]) for mask in masks)


@pytest.mark.parametrize(
    "attention", [SE, dict(type="SGE", groups=4), DIA], ids=lambda a: a["type"]
)
@pytest.mark.parametrize("sharing", ["stage", "block"])
@pytest.mark.parametrize("family", SMALL)
def test_outputs_equal_those_of_each_mask_alone(family, attention, sharing) -> None:
    require_equal_to_each_alone(attach(small(family), attention, sharing))


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050"])
def test_networks_of_timm_which_overwrite_feature_maps(name) -> None:
    torch.manual_seed(0)
    options = {"zero_init_last": False} if name == "resnet10t" else {}
    net = timm.create_model(name, num_classes=5, **options).eval()
    require_equal_to_each_alone(attach(net, "ECA"), step=5)


def counting(net: nn.Module) -> Counter:
    """How often each block of a resnet runs, counted inside it and without a hook."""
    runs: Counter = Counter()
    for index, place in enumerate(find_backbone(net).places):
        convolve = place.conv2.forward

        def counted(x, convolve=convolve, index=index):
            runs.update([index])
            return convolve(x)

        place.conv2.forward = counted
    return runs


def test_a_block_runs_once_per_beginning_of_a_mask() -> None:
    net = attach(small(), SE)
    runs = counting(net)
    with RememberedCalls(find_backbone(net), every_mask(net)) as work, torch.no_grad():
        outputs_under(work, net)
        assert runs == {0: 2, 1: 4, 2: 8, 3: 16, 4: 32}
        outputs_under(work, net, X + 1.0)  # other images are not taken for these
        assert runs == {0: 4, 1: 8, 2: 16, 3: 32, 4: 64}


def test_blocks_that_are_the_networks_own_children_are_shared_as_well() -> None:
    torch.manual_seed(0)
    body = small()
    net = attach(nn.Sequential(body.conv1, *body.layer1, *body.layer2).eval(), SE)
    runs = counting(net)
    with RememberedCalls(find_backbone(net), every_mask(net)) as work, torch.no_grad():
        outputs_under(work, net)
    assert runs == {0: 2, 1: 4, 2: 8, 3: 16, 4: 32}


def test_blocks_that_others_watch_run_each_time() -> None:
    net = attach(small(), SE)
    seen: list[int] = []
    find_backbone(net).places[1].conv2.register_forward_hook(lambda *_: seen.append(1))
    with RememberedCalls(find_backbone(net), every_mask(net)) as work, torch.no_grad():
        outputs_under(work, net)
    assert len(seen) == 32


def test_a_feature_map_that_was_overwritten_is_computed_again() -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = small()

        def forward(self, x):
            features = self.body.conv1(x)
            features.mul_(2.0)
            return self.body.layer2(self.body.layer1(features))

    require_equal_to_each_alone(attach(Overwriting().eval(), SE))


@dataclass
class Features:
    map: torch.Tensor


class InDict(nn.Module):
    """Its stem returns a dict, in which each block replaces the map."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small()
        self.stem = nn.Sequential(self.body.conv1, Packing(lambda x: {"map": x}))
        self.blocks = nn.ModuleList([*self.body.layer1, *self.body.layer2])

    def forward(self, x):
        features = self.stem(x)
        for block in self.blocks:
            features["map"] = block(features["map"])
        return features["map"]


class InObject(InDict):
    """The same with an object."""

    def __init__(self) -> None:
        super().__init__()
        self.stem[1].pack = Features

    def forward(self, x):
        features = self.stem(x)
        for block in self.blocks:
            features.map = block(features.map)
        return features.map


class Packing(nn.Module):
    def __init__(self, pack) -> None:
        super().__init__()
        self.pack = pack

    def forward(self, x):
        return self.pack(x)


class Replacing(nn.Module):
    """Puts its blocks' output into the list that it gets, as timm's HRNet does."""

    def __init__(self, blocks) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, maps):
        maps[0] = self.blocks(maps[0])
        return [maps[0], maps[0].square()]


class InList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small()
        self.first = Replacing(self.body.layer1)
        self.second = Replacing(self.body.layer2)

    def forward(self, x):
        return sum(m.mean() for m in self.second(self.first([self.body.conv1(x)])))


@pytest.mark.parametrize("kind", [InDict, InObject, InList])
def test_containers_whose_maps_are_replaced_by_the_network(kind) -> None:
    require_equal_to_each_alone(attach(kind().eval(), SE))


def test_modules_that_are_children_of_several_others() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = small()
            self.blocks = nn.ModuleList([*self.body.layer1, *self.body.layer2])

        def forward(self, x):
            return nn.Sequential(self.body.conv1, *self.blocks)(x)

    net = attach(Listed().eval(), SE)
    require_equal_to_each_alone(net)
    assert not any("_call_impl" in vars(module) for module in net.modules())


@pytest.mark.parametrize("attention", [SE, DIA], ids=lambda a: a["type"])
def test_a_network_that_runs_its_blocks_twice(attention) -> None:
    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = small()

        def forward(self, x):
            return self.body(x) - self.body(x.flip(-1))

    require_equal_to_each_alone(attach(Siamese().eval(), attention))


def test_the_network_is_left_as_it_was() -> None:
    net = attach(small("mobilenet_v3"), SE)
    before = {name: dict(vars(module)) for name, module in net.named_modules()}
    with RememberedCalls(find_backbone(net), every_mask(net)) as work, torch.no_grad():
        outputs_under(work, net)
    for name, module in net.named_modules():
        assert vars(module).keys() == before[name].keys()
        assert getattr(module, "inplace", None) == before[name].get("inplace")


@torch.no_grad()
@pytest.mark.parametrize("batches", [[X, X + 0.5, X * 2.0], [X]], ids=["three", "one"])
def test_recalibrated_statistics_are_each_masks_own(batches) -> None:
    net = attach(small(), SE)
    masks = every_mask(net)[::5]
    with RememberedCalls(find_backbone(net), masks) as work:
        own = OwnStatistics(net, work)
        with own.in_use():
            with own.estimating():
                for images in batches:
                    outputs_under(work, net, images)
            work.forget()
            ours = outputs_under(work, net)
    for mask in masks:
        alone = copy.deepcopy(net)
        find_backbone(alone).set_mask(mask)
        for layer in alone.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None
        alone.train()
        for images in batches:
            alone(images)
        torch.testing.assert_close(ours[mask], alone.eval()(X), rtol=1e-4, atol=1e-5)
