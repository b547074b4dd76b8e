"""Masks scored together: the scores of each alone."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner

from ean_transfer.backbones import (
    TicketPreResNetCIFAR,
    TicketResNet,
    TicketResNetCIFAR,
    TicketResNeXtCIFAR,
)
from ean_transfer.errors import ConfigError
from ean_transfer.supernet import MaskEvaluator
from ean_transfer.supernet.evaluation import BN_STATISTICS
from ean_transfer.supernet.tree import OwnStatistics, forward_masks
from ean_transfer.ticket import TicketError
from ean_transfer.ticket.mask import random_mask

ATTENTIONS = [
    dict(type="SE", reduction=4),
    dict(type="SGE", groups=4),
    dict(type="DIA", reduction=4),
]


def alone(backbone, images, mask):
    backbone.set_mask(mask)
    outputs = backbone(images)
    backbone.set_mask((True,) * len(mask))
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
    own = OwnStatistics()
    with own.estimating():
        for images in batches:
            list(forward_masks(net, images, masks, own))
    before = copy.deepcopy(net.state_dict())
    found = {group[0]: outputs for group, outputs in forward_masks(net, batches[0], masks, own)}
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
        torch.testing.assert_close(found[mask], expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def parts(toy):
    cfg = toy("classification/toy_supernet")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model.eval(), Runner.build_dataloader(cfg.val_dataloader, seed=0)


@pytest.mark.parametrize("bn", BN_STATISTICS)
def test_scores_of_masks_together_are_those_of_each_alone(parts, bn: str) -> None:
    evaluator = MaskEvaluator(*parts, bn)
    masks = list(itertools.product((True, False), repeat=6))[::5]
    assert evaluator.scores(masks) == [evaluator.score(mask) for mask in masks]


def test_recalibrated_statistics_are_those_of_a_network_that_went_over_the_images(parts) -> None:
    model, loader = parts
    mask = (True, False, False, True, True, False)
    ours = MaskEvaluator(model, loader, "recalibrated").outcomes([mask])[mask]

    reference = copy.deepcopy(model)
    reference.backbone.set_mask(mask)
    batches = [reference.data_preprocessor(raw, training=False) for raw in loader]
    for layer in reference.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        reference.train()
        for data in batches:
            reference(data["inputs"], mode="tensor")
        reference.eval()
        logits = torch.cat([reference(data["inputs"], mode="tensor") for data in batches])
    labels = torch.cat([s.gt_label for data in batches for s in data["data_samples"]])
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert np.allclose(ours.loss, expected, atol=1e-5)
    assert np.array_equal(ours.correct, logits.argmax(1) == labels)


def test_fewer_images_are_the_first_whole_batches(parts) -> None:
    model, loader = parts  # 40 images in batches of 16
    mask = (True,) * 6
    everything = MaskEvaluator(model, loader)
    some = MaskEvaluator(model, loader, images=20)
    assert some.score(mask).images == 32
    assert np.array_equal(
        some.outcomes([mask])[mask].loss, everything.outcomes([mask])[mask].loss[:32]
    )
    assert some.on_all_images().score(mask) == everything.score(mask)


def test_a_mask_asked_for_twice_and_none_at_all(parts) -> None:
    evaluator = MaskEvaluator(*parts)
    one, other = (True,) * 6, (False,) * 6
    first, second, third = evaluator.scores([one, other, one])
    assert first == third != second
    assert evaluator.scores([]) == []


def test_masks_of_another_length_and_a_network_that_is_no_supernet_are_refused(toy, parts) -> None:
    model, loader = parts
    for bits in (5, 9):
        with pytest.raises(TicketError, match=f"resnet14_cifar has 6 blocks, found {bits} bits"):
            MaskEvaluator(model, loader).score((True,) * bits)
    cfg = toy("classification/toy")
    cfg.model.backbone.ticket = dict(
        model.backbone.ticket.with_mask((True, False) * 3).model_dump(mode="json")
    )
    with pytest.raises(ConfigError, match="masks are scored on a supernet.*ticket 10 10 10"):
        MaskEvaluator(MODELS.build(cfg.model), loader)
