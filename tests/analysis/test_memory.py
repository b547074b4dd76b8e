"""Bytes saved for the backward pass and held at a time, against counts made by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ean_transfer.analysis.memory import bytes_saved_for_backward, peak_bytes

X = torch.zeros(2, 3, 4, 4)
MAP = 4 * X.numel()


def gated(x: Tensor) -> Tensor:
    return x * x.mean(dim=(2, 3), keepdim=True).sigmoid()


def test_a_convolution_keeps_its_input_and_no_parameter() -> None:
    conv = nn.Conv2d(3, 8, 3)

    assert bytes_saved_for_backward(conv, X) == MAP
    assert bytes_saved_for_backward(lambda x: conv(x), X) == MAP


def test_frozen_layers_keep_nothing() -> None:
    assert bytes_saved_for_backward(nn.Conv2d(3, 8, 3).requires_grad_(False), X) == 0


def test_a_storage_counts_once_however_often_it_is_saved() -> None:
    convs = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(2))

    assert bytes_saved_for_backward(lambda x: convs[0](x) + convs[1](x.view(2, 3, 4, 4)), X) == MAP


def test_a_batch_norm_keeps_its_input_and_two_numbers_per_channel() -> None:
    assert bytes_saved_for_backward(nn.BatchNorm2d(3), X) == MAP + 2 * 3 * 4


def test_a_gate_keeps_the_map_and_itself() -> None:
    x = X.clone().requires_grad_()

    assert bytes_saved_for_backward(gated, x) == MAP + 4 * 2 * 3


def test_what_the_graph_has_let_go_does_not_count() -> None:
    conv = nn.Conv2d(3, 3, 1)

    def function(x: Tensor) -> Tensor:
        conv(2.0 * x)  # nobody keeps this output
        return conv(x)

    assert bytes_saved_for_backward(function, X) == MAP


def test_a_checkpointed_part_keeps_its_input_alone() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sigmoid(), nn.Conv2d(3, 3, 1))

    assert bytes_saved_for_backward(layers, X) == 2 * MAP
    x = X.clone().requires_grad_()
    assert bytes_saved_for_backward(lambda x: checkpoint(layers, x, use_reentrant=False), x) == MAP


def test_counts_on_the_meta_device_and_without_gradients_around_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1))
    expected = bytes_saved_for_backward(network, X)

    with torch.no_grad():
        assert bytes_saved_for_backward(network.to("meta"), X.to("meta")) == expected == 2 * MAP


def test_tensors_within_lists_and_dicts_belong_to_the_outputs() -> None:
    conv = nn.Conv2d(3, 3, 1)

    assert bytes_saved_for_backward(lambda x: [{"map": conv(x)}, 1], X) == MAP


def test_the_peak_is_what_is_held_at_a_time_over_what_was_held_before() -> None:
    layers = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(4)))

    def step(x: Tensor) -> None:
        layers(x).sum().backward()
        layers.zero_grad()

    with torch.inference_mode():
        assert peak_bytes(layers, X) == 2 * MAP  # each output goes once the next one is there
        assert peak_bytes(lambda x: [layer(x) for layer in layers], X) == 4 * MAP
    weights = sum(4 * parameter.numel() for parameter in layers.parameters())
    assert 4 * MAP < peak_bytes(step, X) <= 6 * MAP + weights + 64


def test_the_peak_is_the_same_on_the_meta_device() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU())
    expected = peak_bytes(layers, X)
    assert peak_bytes(layers.to("meta"), X.to("meta")) == expected
