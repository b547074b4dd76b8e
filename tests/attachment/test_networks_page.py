"""docs/networks.md: its table is current, and identity start is exact on each network of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from ean_transfer import attach, blocks_of
from ean_transfer.attachment.families import backbone_name, stages_of
from ean_transfer.attachment.libraries import build_network
from ean_transfer.attachment.network import masked
from tests.helpers import ROOT

pytest.importorskip("timm")

PAGE = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+[:.]\w+)` \| (\d+) \| ([\d-]+) \| `(\S+)` \|$", PAGE, re.MULTILINE)
REFUSED_ONCE = [  # by the first versions
    "tf_efficientnet_lite0",
    "mobilenetv3_large_100",
    "lcnet_050",
    "regnety_008",
    "convnext_atto",
    "efficientnetv2_rw_t",
    "resnext26ts",
    "seresnet33ts",
]
SECTIONS = {section.split("\n")[0]: section for section in PAGE.split("\n## ")}
QUICK = {"timm:tf_efficientnet_lite0", "timm:lcnet_050", "timm:convnext_tiny", "timm:resnext26ts"}


def build(name: str) -> nn.Module:
    if ":" in name:
        return build_network(name)
    kind = getattr(pytest.importorskip("transformers"), name.partition(".")[2])
    return kind(kind.config_class())


def on_meta(name: str) -> nn.Module:
    # torchvision's RegNet computes its widths with tensors.
    with torch.device("cpu" if name.startswith("torchvision:regnet") else "meta"):
        return build(name)


def examples(section: str) -> list[str]:
    codes = re.findall(r"```python\n(.*?)```", SECTIONS[section], re.DOTALL)
    return [code for code in codes if "attach(" in code or "find_ticket(" in code]


def test_the_table_has_the_networks_that_it_must_have() -> None:
    names = [name for name, *_ in ROWS]
    assert len(names) == len(set(names)) >= 25
    assert {f"timm:{name}" for name in REFUSED_ONCE} <= set(names)
    assert set(names) >= QUICK


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_is_current(row: tuple[str, str, str, str]) -> None:
    name, number, per_stage, in_tickets = row
    blocks = blocks_of(on_meta(name))
    sizes = "-".join(str(len(stage)) for stage in stages_of(blocks))
    assert (str(len(blocks)), sizes, backbone_name(blocks)) == (number, per_stage, in_tickets)


def trained(name: str) -> nn.Module:
    """A network in which nothing is zero, one or without effect, as after a training."""
    torch.manual_seed(0)
    model = build(name).eval()
    for module in model.modules():
        for part, tensor in [*module._parameters.items(), *module._buffers.items()]:
            # (C, 1, 1) in torchvision's ConvNeXt, 1e-6 at first
            is_scale = part in ("layer_scale", "layer_scale_parameter")
            if tensor is None or not tensor.is_floating_point():
                continue
            if tensor.ndim != 1 and not is_scale:
                if name.startswith("transformers."):  # which starts all layers at 0.02
                    nn.init.kaiming_normal_(tensor)
                continue
            positive = is_scale or part in ("weight", "gamma", "running_var")
            nn.init.uniform_(tensor, 0.5 if positive else -0.5, 1.5 if positive else 0.5)
    return model


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n, *_ in ROWS],
)
def test_identity_start_is_exact(name: str) -> None:
    model = trained(name).double()  # so that rounding in deep networks hides nothing
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)

    def last_output() -> torch.Tensor:
        return tree_leaves(model(x))[-1]  # transformers' networks return an object

    with torch.inference_mode():
        expected = last_output()
        attach(model, "IE", init="identity")  # its constant is no power of two
        assert model.ticket.connected == model.ticket.num_blocks
        assert (last_output() - expected).norm() < 1e-6 * expected.norm()
        for module in model.attention.modules():
            for parameter in module.parameters(recurse=False):
                parameter.add_(0.5)
        assert (last_output() - expected).norm() > 1e-3 * expected.norm()


@pytest.mark.slow
def test_the_examples_of_named_places_run() -> None:
    pytest.importorskip("segmentation_models_pytorch")
    names: dict[str, Any] = {}
    for code in examples("Places of your own"):
        exec(compile(code, "docs/networks.md", "exec"), names)
    tickets = {name: names[name].ticket for name in ("vgg", "unet", "detector")}
    assert {name: str(ticket) for name, ticket in tickets.items()} == {
        "vgg": "1 1 11",
        "unet": "11 11 11 11 1 1 1 1 1",
        "detector": "11",
    }
    vgg = names["vgg"].eval()
    image = torch.rand(1, 3, 64, 64)
    with masked(vgg, "0 0 00"):
        plain = vgg(image)
    assert not torch.equal(vgg(image), plain)
    assert names["unet"].eval()(image).shape == (1, 3, 64, 64)
