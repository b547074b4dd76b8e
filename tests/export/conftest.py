"""Networks that several test files export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.export.helpers import EXAMPLE, MIXED, Trained, toy_config, trained
from tests.helpers import CONFIGS

if torch.__version__ < "2.9":  # which graphs of any batch size need, and the extra `export` brings
    collect_ignore_glob = ["test_*.py"]


class Exported(NamedTuple):
    file: Path
    trained: Trained
    said: str


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory, run_tool) -> Exported:
    """Exported to ONNX at the command line."""
    pytest.importorskip("onnxruntime")
    network = trained(toy_config("classification"), MIXED, tmp_path_factory.mktemp("classifier"))
    code, out, err = run_tool(
        "export", CONFIGS / "classification/toy.py", network.checkpoint,
        "--image-size", *EXAMPLE, "--cfg-options", "model.backbone.depth=8",
    )  # fmt: skip
    assert (code, err) == (0, "")
    return Exported(network.checkpoint.with_suffix(".onnx"), network, out)


@pytest.fixture(scope="session")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(toy_config("crowd_counting"), MIXED, tmp_path_factory.mktemp("counter"))


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield
