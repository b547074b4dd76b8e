"""Gates learned along with a supernet."""

from __future__ import annotations

import pytest
import torch

from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.search.run import learned_probabilities, run_search
from ean_transfer.supernet import GateHook
from ean_transfer.training import train


@pytest.mark.parametrize("attention", ["SE", dict(type="DIA", reduction=4)], ids=str)
def test_open_and_closed_gates_are_masks(attention) -> None:
    net = TicketResNetCIFAR(14, attention, base_channels=16).eval()
    images, mask = torch.randn(2, 3, 16, 16), (True, False, True, True, False, False)
    net.set_gates(torch.ones(6))
    assert torch.allclose(net(images)[0], _plainly(net, images, (True,) * 6), atol=1e-5)
    net.set_mask(mask)
    net.set_gates(torch.zeros(6))
    assert torch.allclose(net(images)[0], _plainly(net, images, (False,) * 6), atol=1e-5)


def _plainly(net, images, mask):
    gates = [stage.gates for stage in net.stages]
    net.set_gates(None)
    net.set_mask(mask)
    outputs = net(images)[0]
    for stage, found in zip(net.stages, gates, strict=True):
        stage.gates = found
    return outputs


def test_a_supernet_with_gates_trains_them_resumes_and_is_searched(toy, tmp_path) -> None:
    cfg = toy("classification/toy_gates_search", **{"search.steps": 3})
    ticket = run_search(cfg, tmp_path / "search")
    (log,) = (tmp_path / "search").glob("*/*.log")
    assert "trained with masks" not in log.read_text()
    found = learned_probabilities(tmp_path / "search/supernet/epoch_1.pth")
    assert len(found) == 6 and all(0 < p < 1 for p in found) and len(set(found)) == 6
    assert ticket.num_blocks == 6

    cfg = toy("classification/toy_gates_search")
    cfg.pop("search")
    cfg.train_cfg.max_epochs = 2
    train(cfg, tmp_path / "search/supernet", resume=True)
    resumed = learned_probabilities(tmp_path / "search/supernet/epoch_2.pth")
    train(cfg, tmp_path / "whole")
    assert resumed == pytest.approx(learned_probabilities(tmp_path / "whole/epoch_2.pth"))


def test_a_cost_closes_gates(toy, tmp_path) -> None:
    found = []
    for cost in (0.0, 1000.0):
        cfg = toy("classification/toy_gates_search", **{"custom_hooks.0.cost": cost})
        cfg.pop("search")
        train(cfg, tmp_path / str(cost))
        found.append(sum(learned_probabilities(tmp_path / str(cost) / "epoch_1.pth")))
    assert found[1] < found[0]


def test_a_supernet_without_gates_and_options_out_of_range_are_refused(toy, tmp_path) -> None:
    train(toy("classification/toy_supernet"), tmp_path)
    with pytest.raises(CheckpointError, match="no learned gates.*GateHook"):
        learned_probabilities(tmp_path / "epoch_1.pth")
    with pytest.raises(ConfigError, match="temperature > 0"):
        GateHook(temperature=0.0)
