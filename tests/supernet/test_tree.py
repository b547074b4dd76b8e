"""Many masks in one pass: the features of each alone."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch

from ean_transfer.backbones import (
    TicketPreResNetCIFAR,
    TicketResNet,
    TicketResNetCIFAR,
    TicketResNeXtCIFAR,
)
from ean_transfer.supernet.statistics import OwnStatistics
from ean_transfer.supernet.tree import Tree, forward_masks
from ean_transfer.ticket.mask import random_mask

ATTENTIONS = [
    dict(type="SE", reduction=4),
    dict(type="SGE", groups=4),
    dict(type="DIA", reduction=4),
    dict(type="CBAM", reduction=4),
]


def alone(backbone, images, mask):
    backbone.set_mask(mask)
    outputs = backbone(images)
    backbone.set_mask((True,) * len(mask))
    return outputs


def features_of(work, images):
    """The backbone's outputs under each mask of a tree."""
    outputs = {}
    for mask in work.masks:
        work.use(mask)
        outputs[mask] = work.network(images)
    return outputs


@pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda a: a["type"])
@pytest.mark.parametrize("sharing", ["stage", "block"])
def test_features_of_all_masks_equal_those_of_each_alone(attention, sharing) -> None:
    torch.manual_seed(0)
    net = TicketResNetCIFAR(14, attention, sharing, base_channels=8, out_indices=(0, 2)).eval()
    images = torch.randn(3, 3, 17, 17)
    masks = list(itertools.product((True, False), repeat=6))
    with torch.inference_mode():
        found = list(forward_masks(net, images, masks))
        assert sorted(m for group, _ in found for m in group) == sorted(masks)
        for (mask,), outputs in found:
            for ours, expected in zip(outputs, alone(net, images, mask), strict=True):
                assert torch.equal(ours, expected)


@pytest.mark.parametrize(
    "options", [{}, {"deep_stem": True}, {"num_stages": 3, "out_indices": (2,)}]
)
def test_a_bottleneck_network_and_one_that_is_cut(options) -> None:
    torch.manual_seed(0)
    kwargs = {"strides": (1, 2, 2), "dilations": (1, 1, 1)} if "num_stages" in options else {}
    net = TicketResNet(50, "SE", base_channels=16, stem_channels=16, **kwargs, **options).eval()
    images = torch.randn(2, 3, 33, 33)
    masks = list(dict.fromkeys(random_mask(16, 0, index) for index in range(6)))
    masks.append((*masks[0][:13], *(not bit for bit in masks[0][13:])))  # differs in stage 4 only
    with torch.inference_mode():
        found = [
            (m, outputs) for group, outputs in forward_masks(net, images, masks) for m in group
        ]
        assert len(found) == len(masks)
        for mask, outputs in found:
            assert torch.equal(outputs[-1], alone(net, images, mask)[-1])


FAMILIES = {  # with three or six blocks
    "preactivation": lambda **kwargs: TicketPreResNetCIFAR(14, **kwargs),
    "preactivation bottleneck": lambda **kwargs: TicketPreResNetCIFAR(11, **kwargs),
    "resnext": lambda **kwargs: TicketResNeXtCIFAR(11, groups=2, width_per_group=4, **kwargs),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    """A supernet whose outputs are an inner and the last stage's, and all its masks."""
    torch.manual_seed(0)
    net = FAMILIES[request.param](attention=ATTENTIONS[0], base_channels=8, out_indices=(1, 2))
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.bias.data.uniform_(-0.5, 0.5)
            layer.running_mean.uniform_(-0.5, 0.5)
    masks = list(itertools.product((True, False), repeat=net.ticket.num_blocks))
    return net.eval(), masks[:: len(masks) // 8]


@torch.inference_mode()
def test_other_families_features_are_those_of_each_mask_alone(family) -> None:
    net, masks = family
    images = torch.randn(3, 3, 9, 9)
    found = {group[0]: outputs for group, outputs in forward_masks(net, images, masks)}
    assert set(found) == set(masks)
    for mask, outputs in found.items():
        assert all(map(torch.equal, outputs, alone(net, images, mask)))


@torch.no_grad()
def test_other_families_statistics_are_each_masks_own(family) -> None:
    net, masks = family
    batches = [torch.randn(4, 3, 9, 9) + shift for shift in range(3)]
    before = copy.deepcopy(net.state_dict())
    with Tree(net, masks) as work:
        own = OwnStatistics(net, work)
        with own.in_use():
            with own.estimating():
                for images in batches:
                    features_of(work, images)
            ours = features_of(work, batches[0])
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())

    for mask in masks:
        reference = copy.deepcopy(net)
        for layer in reference.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None
        reference.train()
        for images in batches:
            alone(reference, images, mask)
        expected = alone(reference.eval(), batches[0], mask)
        torch.testing.assert_close(ours[mask], expected, rtol=1e-4, atol=1e-5)
