"""The best checkpoint is removed only once the new one is on the disk."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from torch import nn

from ean_transfer.engine.hooks.checkpoints import KeptCheckpointHook
from ean_transfer.errors import TrainingError


@pytest.fixture
def runner(tmp_path: Path) -> Any:
    """What the hook needs of a runner; its checkpoints are empty files."""
    hub = MessageHub.get_instance("test_checkpoints")
    hub.runtime_info.clear()
    folder = tmp_path / "run"
    folder.mkdir()
    return SimpleNamespace(
        work_dir=str(folder),
        message_hub=hub,
        logger=MMLogger.get_current_instance(),
        model=nn.Linear(1, 1),
        epoch=0,
        iter=0,
        save_checkpoint=lambda out_dir, filename, *_, **__: Path(out_dir, filename).touch(),
    )


def validate(hook: KeptCheckpointHook, runner: Any, epoch: int, value: float) -> list[str]:
    runner.epoch = epoch
    hook.after_val_epoch(runner, {"MAE": value})
    return sorted(file.name for file in Path(runner.work_dir).glob("best*"))


def started(runner: Any) -> KeptCheckpointHook:
    hook = KeptCheckpointHook(save_best="MAE", rule="less")
    hook.before_train(runner)
    return hook


def test_a_failing_write_leaves_the_best_network(runner: Any) -> None:
    hook = started(runner)
    assert validate(hook, runner, 1, 5.0) == ["best_MAE_epoch_1.pth"]
    assert validate(hook, runner, 2, 6.0) == ["best_MAE_epoch_1.pth"]  # worse
    write = runner.save_checkpoint

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    runner.save_checkpoint = fail
    with pytest.raises(OSError, match="No space"):
        validate(hook, runner, 3, 4.0)
    runner.save_checkpoint = write
    assert (Path(runner.work_dir) / "best_MAE_epoch_1.pth").exists()


def test_the_former_best_is_removed_in_its_own_folder_also_after_resuming(
    runner: Any, tmp_path: Path
) -> None:
    validate(started(runner), runner, 1, 5.0)
    runner.message_hub.update_info("best_ckpt", str(tmp_path / "original" / "best_MAE_epoch_1.pth"))
    (tmp_path / "original").mkdir()
    original = tmp_path / "original" / "best_MAE_epoch_1.pth"
    original.touch()
    hook = started(runner)  # resumed in a copy of the folder
    assert validate(hook, runner, 2, 6.0) == ["best_MAE_epoch_1.pth"]
    assert validate(hook, runner, 3, 4.0) == ["best_MAE_epoch_3.pth"]
    assert original.exists()


def test_the_best_checkpoint_has_finite_weights(runner: Any) -> None:
    hook = started(runner)
    validate(hook, runner, 1, 5.0)
    runner.model.weight.data.fill_(torch.nan)
    with pytest.raises(TrainingError, match="found NaN or infinity in weight"):
        validate(hook, runner, 2, 4.0)
    assert [file.name for file in Path(runner.work_dir).iterdir()] == ["best_MAE_epoch_1.pth"]
