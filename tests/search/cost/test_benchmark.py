"""Tickets of one network side by side: what is counted, and which networks are measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from ean_transfer import build_backbone
from ean_transfer.analysis.latency import Latency
from ean_transfer.analysis.memory import bytes_saved_for_backward
from ean_transfer.errors import ConfigError
from ean_transfer.search.cost.benchmark import (
    HEADINGS,
    Benchmark,
    Pass,
    benchmark_networks,
    row,
)
from ean_transfer.search.cost.counting import attention_macs, count_parameters, plain_macs

SE = dict(type="SE", reduction=4)
SIZE = 16


def network(ticket: str) -> nn.Module:
    return build_backbone("resnet8_cifar", SE, ticket=ticket)


@pytest.fixture(scope="module")
def measured() -> dict[str, Benchmark]:
    networks = {ticket: network(ticket) for ticket in ("none", "full")}
    results = benchmark_networks(networks, 2, SIZE, optimize=True, rounds=2)
    return {one.network: one for one in results}


def test_each_network_is_measured_as_it_is_and_optimized(measured) -> None:
    assert list(measured) == ["none", "full", "none, optimized", "full, optimized"]
    for name, one in measured.items():
        trained = "optimized" not in name
        assert (one.training is not None) is trained and (one.saved_bytes is not None) is trained
        assert one.forward.time.ms > 0 and one.forward.peak_bytes > 0 and one.batch == 2
    assert measured["none"].forward.time.over_plain == 0.0


def test_what_is_counted_is_that_of_the_network(measured) -> None:
    full, image = network("full"), torch.zeros(1, 3, SIZE, SIZE)
    assert measured["full"].parameters == count_parameters(full)
    assert measured["none"].macs == plain_macs(full, image)
    assert measured["full"].macs == measured["none"].macs + sum(attention_macs(full, image))
    images = torch.zeros(2, 3, SIZE, SIZE)
    assert measured["full"].saved_bytes == bytes_saved_for_backward(full.train(), images)
    # Of each BatchNorm weight and bias go, and the convolution gets a bias.
    gone = count_parameters(network("none")) - measured["none, optimized"].parameters
    assert gone == sum(len(n.weight) for n in full.modules() if isinstance(n, nn.BatchNorm2d))


def test_throughput_is_images_over_the_median_time(measured) -> None:
    one = measured["full"]
    assert one.images_per_second == pytest.approx(2000.0 / one.forward.time.ms)


def test_a_row_has_a_cell_for_each_heading_and_none_for_what_is_not_measured() -> None:
    time = Latency(12.0, (11.0, 13.0), 0.2, (0.1, 0.3), (0.15, 0.25))
    training = Pass(Latency(40.0, (39.0, 41.0), 0.5, (0.4, 0.6), (0.45, 0.55)), 7_000_000)
    one = Benchmark("full", 6, 1_234, 5_600_000, Pass(time, 3_400_000), training, 9_100_000)
    assert list(zip(HEADINGS, row(one), strict=True)) == [
        ("network", "full"),
        ("parameters", "1,234"),
        ("MACs per image", "5.6 M"),
        ("forward, ms (quartiles)", "12 (11 to 13)"),
        ("over none", "1.200 (1.150 to 1.250)"),
        ("images/s", "500"),
        ("peak, MB", "3.4"),
        ("forward + backward, ms (quartiles)", "40 (39 to 41)"),
        ("over none", "1.500 (1.450 to 1.550)"),
        ("saved, MB", "9.1"),
        ("peak, MB", "7.0"),
    ]
    optimized = row(replace(one, training=None, saved_bytes=None))
    assert optimized == [*row(one)[:-4], "", "", "", ""]


def test_no_gradient_is_left(measured) -> None:
    model = network("none")
    benchmark_networks({"none": model}, 2, SIZE, rounds=2)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_batches_that_batch_norm_cannot_be_trained_with_are_refused() -> None:
    model = build_backbone("resnet18", num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    with pytest.raises(ConfigError, match=r"--batch 1 --size 2: .* give a larger one$"):
        benchmark_networks({"none": model}, 1, 2, rounds=2)
