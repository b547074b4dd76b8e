"""Blocks are compared by Pearson's correlation, within a stage."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mmengine.registry import MODELS

from ean_transfer.analysis.inspect.similarity import attention_similarity, draw_similarity
from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.weights import write_network
from tests.helpers import CONFIGS

CONFIG = CONFIGS / "classification" / "toy.py"


def values(*blocks: tuple[int, int]) -> dict[int, torch.Tensor]:
    """Random values of 5 images, for (block, channels)."""
    generator = torch.Generator().manual_seed(0)
    return {block: torch.rand(5, channels, generator=generator) for block, channels in blocks}


def test_correlation_is_numpys_averaged_over_images() -> None:
    attention = values((0, 8), (2, 8), (3, 16), (4, 16))
    similarity = attention_similarity(attention, [3, 2])  # block 1 is not connected
    for i, j in ((0, 2), (2, 0), (3, 4), (0, 0), (4, 4)):
        pairs = zip(attention[i].double().numpy(), attention[j].double().numpy(), strict=True)
        expected = np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs])
        assert similarity.matrix[i, j] == pytest.approx(expected, abs=1e-12)
    compared = ~np.isnan(similarity.matrix)
    expected = np.zeros((5, 5), dtype=bool)
    expected[np.ix_([0, 2], [0, 2])] = expected[3:, 3:] = True
    assert (compared == expected).all()


def test_images_with_one_value_for_all_channels_are_left_out() -> None:
    attention = values((0, 8), (1, 8))
    expected = attention_similarity({b: v[[0, 1, 3, 4]] for b, v in attention.items()}, [2]).matrix
    attention[1][2] = 0.3  # not exact in binary: its mean is off by a rounding
    similarity = attention_similarity(attention, [2])
    assert similarity.matrix[0, 1] == pytest.approx(expected[0, 1], abs=1e-12)
    attention[1][:] = 0.3
    similarity = attention_similarity(attention, [2])
    assert np.isnan(similarity.matrix[0, 1]) and similarity.matrix[0, 0] == pytest.approx(1)


def test_means_of_stages_are_over_different_blocks() -> None:
    similarity = attention_similarity(values((0, 8), (1, 8), (2, 8), (4, 8)), [3, 2])
    first, second = similarity.of_stages
    matrix = similarity.matrix
    assert first == pytest.approx((matrix[0, 1] + matrix[0, 2] + matrix[1, 2]) / 3)
    assert math.isnan(second)  # one connected block has no pair
    plain = json.loads(json.dumps(similarity.as_json(), allow_nan=False))
    assert plain["mean_of_stages"] == [first, None]
    assert plain["correlation"][0][3] is None and plain["correlation"][1][2] == matrix[1, 2]


@pytest.mark.parametrize(("blocks", "networks", "rows"), [([1], 4, 2), ([10, 20, 10], 1, 1)])
def test_draws_networks_of_any_depth(tmp_path: Path, blocks, networks: int, rows: int) -> None:
    similarity = attention_similarity(values((0, 8)), blocks)
    named = {str(number): similarity for number in range(networks)}
    assert imread(draw_similarity(named, tmp_path / "a.png")).shape[0] // 500 == rows


def test_tool_leaves_out_networks_without_attention(tmp_path: Path, run_tool) -> None:
    networks = []
    for ticket in ("none", "full"):
        cfg = load_config(CONFIG)
        set_ticket(cfg, ticket)
        torch.manual_seed(0)
        write_network(MODELS.build(cfg.model), tmp_path / f"{ticket}.pth")
        networks.append(f"{ticket}={tmp_path / ticket}.pth")

    def look(*networks: str):
        few = ("--images", 6, "--cfg-options", "test_dataloader.dataset.length=12")
        arguments = (CONFIG, *networks, "--out", tmp_path / "a.png")
        return run_tool("inspect", "similarity", *arguments, *few)

    done = look(*networks)
    assert done.code == 0 and "none: no attention, left out" in done.out
    measured = json.loads((tmp_path / "a.json").read_text())["networks"]
    assert list(measured) == ["full"] and imread(tmp_path / "a.png").shape[0] > 400
    assert measured["full"]["images"] == 6
    matrix = measured["full"]["correlation"]
    assert len(matrix) == 6 and matrix[0][2] is None and -1 <= matrix[0][1] < 1
    refused = look(networks[0])
    assert refused.code == 2 and "found none whose ticket connects a block: none" in refused.err
