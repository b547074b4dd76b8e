"""The list of a network's places."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from ean_transfer import places_of
from ean_transfer.attachment.places import blocks_at


class Slow(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.02)
        return super().forward(x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(BasicBlock(3, 3), nn.Identity(), Slow(3, 6, 3, stride=2))
        self.fast = nn.Conv2d(6, 6, 1)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.fast(self.body(x)).mean(dim=(2, 3)))


X = torch.zeros(1, 3, 13, 9)


def test_places_are_the_modules_with_a_map_outside_of_residual_blocks() -> None:
    places = places_of(Net(), X)
    assert [(p.name, p.kind, p.channels, p.size, p.is_block) for p in places] == [
        ("body", "Sequential", 6, (6, 4), False),
        ("body.0", "BasicBlock", 3, (13, 9), True),
        ("body.2", "Slow", 6, (6, 4), False),
        ("fast", "Conv2d", 6, (6, 4), False),
    ]


def test_time_is_a_share_of_the_whole_forward() -> None:
    shares = {place.name: place.share for place in places_of(Net(), X)}
    assert all(0 < share < 1 for share in shares.values())
    assert min(shares["body"], shares["body.2"]) > 0.5 > shares["fast"]


def test_every_place_of_the_list_can_be_named() -> None:
    model = Net()
    for place in places_of(model, X):
        (block,) = blocks_at(model, place.name, X)
        assert (block.name, block.channels) == (place.name, place.channels)


def test_as_text_it_is_a_table_with_a_line_per_place() -> None:
    heading, *lines = str(places_of(Net(), X)).splitlines()
    assert heading.split() == ["name", "class", "channels", "size", "time", "block"]
    assert [line.split()[0] for line in lines] == ["body", "body.0", "body.2", "fast"]
    assert [line.split()[-1] == "yes" for line in lines] == [False, True, False, False]
    assert "13x9" in lines[1]
