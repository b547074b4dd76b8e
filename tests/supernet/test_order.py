"""A network whose blocks run in another order than they are registered is no supernet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models.resnet import BasicBlock

from ean_transfer import MaskSampler, attach, evaluate_masks, find_ticket
from ean_transfer.errors import ConfigError
from tests.attachment.networks import DIA, SE, X, small


class Blocks(nn.Module):
    """Three blocks of 8 channels, run in an order of one's own."""

    def __init__(self, *order: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.first, self.second, self.third = (BasicBlock(8, 8) for _ in range(3))
        self.head = nn.Linear(8, 4)
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        for name in self.order:
            x = getattr(self, name)(x)
        return self.head(x.mean((2, 3)))


def hooks(net: Any) -> int:
    return sum(len(block._forward_pre_hooks) for block in net.attention.places)


WRONG = ("first", "third", "second")


@pytest.mark.parametrize("attention", [SE, DIA], ids=lambda spec: spec["type"])
def test_another_order_is_refused_in_the_first_forward_of_a_training(attention: Any) -> None:
    net = attach(Blocks(*WRONG), attention)
    before = hooks(net)
    with MaskSampler(net) as sampler, pytest.raises(ConfigError) as error:
        sampler.step()
        net(X)
    message = str(error.value)
    assert "second runs after third" in message and "at=" in message and "\n" not in message
    assert hooks(net) == before


def test_a_block_that_runs_again_hides_no_wrong_order() -> None:
    net = attach(Blocks("first", "third", "first", "second"), SE)
    with MaskSampler(net) as sampler, pytest.raises(ConfigError, match="second runs after third"):
        sampler.step()
        net(X)


def test_masks_under_which_a_block_runs_again_are_scored_as_each_alone() -> None:
    net = attach(Blocks("first", "second", "first", "third"), SE)
    loader = [(X, torch.zeros(len(X)).long()), (X + 0.5, torch.ones(len(X)).long())]
    masks = [(True, second, third) for second in (True, False) for third in (True, False)]

    def losses(*masks: tuple[bool, ...]) -> list[float]:
        scored = evaluate_masks(net, loader, masks, F.cross_entropy, bn="recalibrated")
        return [scored[mask].score.loss for mask in masks]

    assert losses(*masks) == pytest.approx([losses(mask)[0] for mask in masks])


def test_named_places_follow_the_forward() -> None:
    net = attach(Blocks(*WRONG), SE, at=["first", "second", "third"])
    assert net.attention.places == [net.first, net.third, net.second]
    with MaskSampler(net) as sampler:
        sampler.step()
        net(X)


@pytest.mark.parametrize(
    "order",
    [
        ("first", "second", "third"),
        ("first", "second", "first", "second", "third", "first"),  # blocks that run repeatedly
        ("first", "third"),
    ],
)
def test_the_registered_order_is_watched_once(order: tuple[str, ...]) -> None:
    net = attach(Blocks(*order), SE)
    before = hooks(net)
    with MaskSampler(net, probability=0.0) as sampler:
        for _ in range(2):
            sampler.step()
            net(X)
        if "second" in order:
            assert hooks(net) == before
    assert hooks(net) == before


def test_a_search_is_refused_before_it_trains() -> None:
    loader: Any = DataLoader(TensorDataset(X, torch.zeros(len(X)).long()), batch_size=2)
    with pytest.raises(ConfigError, match="second runs after third"):
        find_ticket(Blocks(*WRONG), loader, loader, attention=SE, loss=F.cross_entropy)


def test_masks_of_another_order_are_not_scored() -> None:
    loader = [(X, torch.zeros(len(X)).long())]
    masks = [(True,) * 3, (True, False, True)]
    evaluate_masks(attach(Blocks("first", "second", "third"), SE), loader, masks, F.cross_entropy)
    with pytest.raises(ConfigError, match="second runs after third"):
        evaluate_masks(attach(Blocks(*WRONG), SE), loader, masks, F.cross_entropy)


def test_activation_checkpointing_runs_blocks_backwards() -> None:
    net = attach(small(), SE)
    with MaskSampler(net) as sampler:
        sampler.step()
        x = net.conv1(X)
        for stage in (net.layer1, net.layer2):
            x = checkpoint(stage, x, use_reentrant=False)
        x.sum().backward()
