"""Fixtures of all tests: toy configs, and the tools run in this process."""

from __future__ import annotations

import ast
import gc
import logging
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import settings
from mmengine.config import Config
from mmengine.logging import MMLogger

import ean_transfer._openmmlab  # noqa: F401
from ean_transfer.engine.config import load_config
from tests.helpers import ROOT

# The same examples each time, and as long as they take: a busy machine is no failure.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


@pytest.fixture(autouse=True, scope="module")
def _frozen_heap() -> None:
    # Imports and caches leave some 500,000 objects and more that live as long as the tests. Each
    # garbage collection, and attach(), which asks who refers to a block, would go through them.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    # More threads gain nothing for toy networks, and cost a lot on a busy machine.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _unformatted_configs() -> Iterator[None]:
    # A runner formats its config four times, which takes longer than a toy training.
    def checked(text: str, **_: Any) -> tuple[str, bool]:
        ast.parse(text)
        return text, True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yapf.yapflib.yapf_api.FormatCode", checked)
        yield


@pytest.fixture(scope="session")
def toy():
    """Loads a toy config made tiny: ``toy("classification/toy_search", search=dict(steps=4))``."""

    def load(name: str, **changes: Any) -> Config:
        cfg = load_config(ROOT / "configs" / f"{name}.py")
        for part, length in (("train", 64), ("val", 40), ("test", 40)):
            loader = cfg[f"{part}_dataloader"]
            loader.dataset.length = length
            loader.batch_size = min(loader.batch_size, 16)
        cfg.train_cfg.max_epochs = 1
        cfg.param_scheduler = []
        cfg.log_level = "WARNING"
        cfg.merge_from_dict(changes)
        return cfg

    return load


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Terminal(StringIO):
    encoding = "utf-8"  # StringIO has none, and tools draw in ASCII then


@pytest.fixture(scope="session")
def run_tool() -> Callable[..., Outcome]:
    """Runs ``tools/<name>.py`` in this process: a new one takes seconds to import torch.

    ``run_tool("test", config, checkpoint)`` -> exit code, output, errors.
    """

    def run(name: str, *arguments: object) -> Outcome:
        tool = str(ROOT / "tools" / f"{name}.py")
        code, out, err = 0, Terminal(), Terminal()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", [tool, *map(str, arguments)])
            try:
                runpy.run_path(tool, run_name="__main__")
            except SystemExit as stop:
                code = int(stop.code or 0)
        return Outcome(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What mmengine's current logger is told, whatever stream its own handlers write to."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
