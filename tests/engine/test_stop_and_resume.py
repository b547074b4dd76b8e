"""A training that is stopped at any iteration and resumed is the one that was not stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.engine.training import train
from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import read_checkpoint
from tests.engine.noisy import Noise, SignalAt
from tests.helpers import CONFIGS, ROOT

ITERATIONS = dict(type="IterBasedTrainLoop", max_iters=8, val_interval=4)


@pytest.fixture
def noisy(toy):
    """A toy training whose data and network draw: 2 epochs of 4 batches, or 8 iterations."""

    def load(workers: int = 0, stop: dict[str, Any] | None = None, **changes: Any) -> Config:
        cfg = toy("classification/toy")
        loader = cfg.train_dataloader
        loader.dataset.pipeline = [dict(type="Noise"), *loader.dataset.pipeline]
        loader.update(num_workers=workers, persistent_workers=workers > 0)
        cfg.param_scheduler = [dict(type="PolyLR", by_epoch=False, end=8)]
        cfg.train_cfg.update(max_epochs=2, val_interval=1)
        cfg.custom_hooks = [dict(type="NoisyInputs")]
        if stop is not None:
            cfg.custom_hooks.append(dict(type="SignalAt", **stop))
        iterations = changes.pop("train_cfg", None)
        cfg.merge_from_dict(changes)
        if iterations:
            cfg.train_cfg = dict(iterations)
            loader.sampler = dict(type="InfiniteSampler", shuffle=True)
            cfg.default_hooks.checkpoint.update(by_epoch=False, interval=3)
            cfg.log_processor = dict(by_epoch=False)
        return cfg

    return load


def weights(runner: Runner) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in runner.model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def stop_and_resume(noisy, folder: Path, stop: dict[str, Any], workers=(0, 0), **changes: Any):
    with pytest.raises(SystemExit) as exit_:
        train(noisy(workers[0], stop, **changes), folder, quiet=True)
    assert exit_.value.code == 128 + stop.get("number", signal.SIGTERM)
    return train(noisy(workers[1], **changes), folder, resume=True, quiet=True)


@pytest.mark.slow
def test_0_and_2_workers_give_the_same_weights(noisy, tmp_path: Path) -> None:
    alone = train(noisy(0), tmp_path / "0", quiet=True)
    helped = train(noisy(2), tmp_path / "2", quiet=True)
    other = train(noisy(0), tmp_path / "other", seed=1, quiet=True)
    assert equal(weights(alone), weights(helped))
    assert not equal(weights(alone), weights(other))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train_cfg", "stop", "workers"),
    [
        ({}, dict(at=2, number=signal.SIGUSR1), (2, 0)),
        ({}, dict(at=4), (0, 0)),  # the end of an epoch
        ({}, dict(at=4, validating=True), (0, 0)),
        ({}, dict(at=7, number=signal.SIGINT), (0, 0)),
        ({}, dict(at=8), (0, 0)),  # the end of the training
        (ITERATIONS, dict(at=2), (0, 2)),
        (ITERATIONS, dict(at=4, validating=True), (0, 0)),
        (ITERATIONS, dict(at=8), (0, 0)),
    ],
)
def test_a_resumed_training_is_the_uninterrupted_one(
    noisy, tmp_path: Path, train_cfg: dict[str, Any], stop: dict[str, Any], workers: tuple[int, int]
) -> None:
    changes = {"train_cfg": train_cfg} if train_cfg else {}
    whole = train(noisy(**changes), tmp_path / "whole", quiet=True)
    resumed = stop_and_resume(noisy, tmp_path / "stopped", stop, workers, **changes)
    assert resumed.iter == whole.iter == 8
    assert equal(weights(whole), weights(resumed))
    assert whole.optim_wrapper.get_lr() == resumed.optim_wrapper.get_lr()
    # What validation measured last is measured in the resumed one as well.
    scalars = [runner.message_hub.get_scalar("val/accuracy/top1") for runner in (whole, resumed)]
    assert scalars[0].current() == scalars[1].current()


@pytest.mark.parametrize("at", [3, 4])  # within the first epoch, and at its end
def test_a_checkpoint_saved_by_iterations_is_resumed_within_its_epoch(
    noisy, tmp_path: Path, at: int
) -> None:
    def load() -> Config:
        cfg = noisy()
        cfg.default_hooks.checkpoint.update(by_epoch=False, interval=1, max_keep_ckpts=-1)
        cfg.param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[1])]
        return cfg

    whole = train(load(), tmp_path, quiet=True)
    for later in range(at + 1, 9):  # as if the machine had failed before the next was written
        (tmp_path / f"iter_{later}.pth").unlink()
    (tmp_path / "last_checkpoint").unlink()
    before = weights(whole)
    resumed = train(load(), tmp_path, resume=True, quiet=True)
    assert (resumed.iter, resumed.epoch) == (8, 2)
    assert equal(before, weights(resumed))
    assert whole.optim_wrapper.get_lr() == resumed.optim_wrapper.get_lr()


@pytest.mark.slow
@pytest.mark.parametrize("at", [2, 6])
def test_fixed_statistics_are_resumed_before_and_after_they_are_fixed(
    noisy, tmp_path: Path, at: int
) -> None:
    hooks = [dict(type="NoisyInputs"), dict(type="FreezeNormHook", begin=5, images=40)]
    whole = train(noisy(custom_hooks=hooks), tmp_path / "whole", quiet=True)
    with pytest.raises(SystemExit):
        stopped = noisy(custom_hooks=[*hooks, dict(type="SignalAt", at=at)])
        train(stopped, tmp_path / "stopped", quiet=True)
    resumed = train(noisy(custom_hooks=hooks), tmp_path / "stopped", resume=True, quiet=True)
    assert equal(weights(whole), weights(resumed))
    never = train(noisy(custom_hooks=hooks[:1]), tmp_path / "never", quiet=True)
    assert not equal(weights(whole), weights(never))


@pytest.mark.slow
def test_averaged_weights_are_resumed_when_a_validation_is_cut_off(noisy, tmp_path: Path) -> None:
    average = dict(custom_hooks=[dict(type="NoisyInputs"), dict(type=EMAHook, momentum=0.3)])
    whole = train(noisy(**average), tmp_path / "whole", quiet=True)
    average["custom_hooks"].append(dict(type="SignalAt", at=4, validating=True))
    with pytest.raises(SystemExit):
        train(noisy(**average), tmp_path / "stopped", quiet=True)
    average["custom_hooks"].pop()
    resumed = train(noisy(**average), tmp_path / "stopped", resume=True, quiet=True)
    assert equal(weights(whole), weights(resumed))
    ends = [read_checkpoint(last_checkpoint(tmp_path / run)) for run in ("whole", "stopped")]
    assert equal(ends[0]["state_dict"], ends[1]["state_dict"])


def test_averaged_weights_are_not_taken_for_the_trained_ones(noisy, tmp_path: Path) -> None:
    average = dict(custom_hooks=[dict(type=EMAHook, momentum=0.3)])
    train(noisy(**average), tmp_path, quiet=True)
    with pytest.raises(CheckpointError, match="averages its weights.*--ema"):
        train(noisy(), tmp_path, resume=True, quiet=True)


def test_a_stopped_training_says_how_to_go_on(noisy, tmp_path: Path, capfd) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit):
        train(noisy(stop=dict(at=2, number=signal.SIGINT)), tmp_path, quiet=True)
    said = capfd.readouterr().err
    assert "Ctrl-C again" in said
    assert "SIGINT at iteration 2 of 8" in said and "--resume" in said
    assert last_checkpoint(tmp_path) == str(tmp_path / "stopped.pth")
    assert signal.getsignal(signal.SIGINT) is before
    train(noisy(), tmp_path, resume=True, quiet=True)
    kept = sorted(file.name for file in tmp_path.glob("*.pth"))
    assert kept == ["epoch_1.pth", "epoch_2.pth"]  # nothing of the stop is left over


def test_a_part_of_an_epoch_is_not_resumed_with_other_batches(noisy, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        train(noisy(stop=dict(at=2)), tmp_path, quiet=True)
    with pytest.raises(CheckpointError, match="batch 2 of 4 .* found 8"):
        train(noisy(**{"train_dataloader.batch_size": 8}), tmp_path, resume=True, quiet=True)


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(noisy, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(time, "monotonic", iter(range(0, 1000, 5)).__next__)

    def twice(self: Any, runner: Runner, *_: Any, **__: Any) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    monkeypatch.setattr(SignalAt, "after_train_iter", twice)
    with pytest.raises(KeyboardInterrupt):
        train(noisy(stop=dict(at=1)), tmp_path, quiet=True)
    assert not list(tmp_path.glob("*.pth"))


PROGRAM = """
import sys
import torch
import noisy
from ean_transfer.cli.errors import friendly_errors
from ean_transfer.engine.config import load_config
from ean_transfer.engine.training import train
torch.set_num_threads(1)
config, folder, *stop = sys.argv[1:]
cfg = load_config(config)
for part, length in (("train", 128), ("val", 40)):
    cfg[f"{part}_dataloader"].dataset.length = length
    cfg[f"{part}_dataloader"].batch_size = 16
dataset = cfg.train_dataloader.dataset
dataset.pipeline = [dict(type="Noise"), *dataset.pipeline]
cfg.param_scheduler = []
cfg.train_cfg.update(max_epochs=2, val_interval=2)
cfg.custom_hooks = [dict(type="NoisyInputs"), dict(type="FreezeNormHook", begin=5, images=40)]
if stop:
    at, number = map(int, stop)
    cfg.custom_hooks.append(dict(type="SignalAt", at=at, number=number, rank=1))
with friendly_errors():
    runner = train(cfg, folder, resume=True, launcher="pytorch", quiet=True)
torch.save(runner.model.module.state_dict(), f"{folder}/rank{runner.rank}.pth")
"""


def two_processes(folder: Path, *stop: object) -> subprocess.CompletedProcess[str]:
    program = folder.parent / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    config = CONFIGS / "classification" / "toy.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [*command, str(program), str(config), str(folder), *map(str, stop)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_two_processes_stop_at_the_same_iteration_and_resume_exactly(tmp_path: Path) -> None:
    stopped = two_processes(tmp_path / "stopped", 6, int(signal.SIGTERM))
    assert stopped.stderr.count("stopped by SIGTERM at iteration 6 of 8") == 1
    assert stopped.stderr.count("exitcode  : 143") >= 1
    assert two_processes(tmp_path / "stopped").returncode == 0
    assert two_processes(tmp_path / "whole").returncode == 0
    end = read_checkpoint(last_checkpoint(tmp_path / "stopped"))
    assert end["meta"]["iter"] == 8
    # Running statistics too: both have validated the network that was saved.
    for rank in range(2):
        for run in ("whole", "stopped"):
            network = torch.load(tmp_path / run / f"rank{rank}.pth", weights_only=True)
            assert equal(network, end["state_dict"])


@pytest.mark.slow
def test_the_partner_of_a_killed_process_says_so_in_one_line(tmp_path: Path) -> None:
    killed = two_processes(tmp_path / "run", 6, int(signal.SIGKILL))
    lines = [line for line in killed.stderr.splitlines() if "another process" in line]
    assert len(lines) == 1 and f"{tmp_path}/run/epoch_1.pth" in lines[0]


@pytest.mark.slow
def test_an_image_that_breaks_names_the_iteration_and_the_last_checkpoint(
    noisy, tmp_path: Path, monkeypatch
) -> None:
    from ean_transfer.errors import DataError

    calls = []

    def break_late(self: Any, results: dict[str, Any]) -> dict[str, Any]:
        calls.append(1)
        if len(calls) > 16 * 5:
            raise DataError("image.png: broken")
        return results | {"img": results["img"] * 1.0}  # as Noise gives it, a float

    monkeypatch.setattr(Noise, "__call__", break_late)
    with pytest.raises(DataError, match=r"image.png: broken .*iteration 6 .*/epoch_1.pth"):
        train(noisy(), tmp_path, quiet=True)


def test_a_full_disk_names_the_file_and_leaves_the_checkpoints(
    noisy, tmp_path: Path, monkeypatch
) -> None:
    from mmengine.fileio import LocalBackend

    put, calls = LocalBackend.put, []

    def full(self: Any, data: bytes, path: str) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        put(self, data, path)

    monkeypatch.setattr(LocalBackend, "put", full)
    with pytest.raises(OSError) as error:
        train(noisy(), tmp_path, quiet=True)
    assert error.value.filename == str(tmp_path / "epoch_2.pth")
    assert "epoch_1.pth" in error.value.strerror
    assert [file.name for file in tmp_path.glob("*.pth")] == ["epoch_1.pth"]
    assert not list(tmp_path.glob(".*"))


def test_a_checkpoint_is_never_seen_half_written(noisy, tmp_path: Path, monkeypatch) -> None:
    from mmengine.fileio import LocalBackend

    put, seen = LocalBackend.put, []

    def slowly(self: Any, data: bytes, path: str) -> None:
        put(self, data[: len(data) // 2], path)
        seen.append(sorted(file.name for file in tmp_path.glob("[!.]*.pth")))
        put(self, data, path)

    monkeypatch.setattr(LocalBackend, "put", slowly)
    train(noisy(), tmp_path, quiet=True)
    assert seen == [[], ["epoch_1.pth"]]  # while the first and the second are half written
    assert not list(tmp_path.glob(".*partial*"))
