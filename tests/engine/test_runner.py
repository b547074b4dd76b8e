"""Runners: where they write, and that a start which fails leaves nothing behind."""

from __future__ import annotations

import copy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import MODELS
from torch import nn

from ean_transfer.attachment.network import find_backbone
from ean_transfer.backbones import AttachedBackbone
from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.runner import build_runner, require_new_work_dir
from ean_transfer.engine.training import evaluate, train
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket, TicketError
from tests.helpers import CONFIGS, ROOT


def test_a_finished_training_is_not_overwritten(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy")
    require_new_work_dir(cfg, tmp_path)
    train(cfg, tmp_path, quiet=True)
    for chosen in (tmp_path, None):
        cfg.work_dir = None if chosen else str(tmp_path)
        with pytest.raises(ConfigError, match=f"{tmp_path}/last_checkpoint.*--resume"):
            require_new_work_dir(cfg, chosen)


@pytest.mark.parametrize("name", ["study/toy", "_base_/schedules/cifar_2epochs"])
def test_a_config_without_a_model_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{Path(name).name}.py: expected .* model, found none"):
        build_runner(load_config(CONFIGS / f"{name}.py"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("quiet", [False, True])
def test_a_model_that_cannot_be_built_leaves_no_files(toy, tmp_path: Path, quiet: bool) -> None:
    cfg = toy("classification/toy")
    set_ticket(cfg, Ticket.full("resnet20_cifar", "SE"))
    with pytest.raises(TicketError, match="resnet20_cifar"):
        build_runner(cfg, tmp_path / "run", quiet=quiet)
    assert not (tmp_path / "run").exists()

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "earlier.pth").touch()
    with pytest.raises(TicketError):
        build_runner(cfg, tmp_path / "run", quiet=quiet)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["earlier.pth"]


def test_processes_that_torchrun_did_not_start_are_refused(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="takes processes that it started"):
        build_runner(toy("classification/toy"), tmp_path / "run", launcher="pytorch")
    assert not (tmp_path / "run").exists()


def test_processes_of_torchrun_without_a_launcher_are_refused(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(ConfigError, match="add --launcher pytorch"):
        build_runner(toy("classification/toy"), tmp_path)


def test_a_mistake_in_the_validations_settings_is_said_in_one_line(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy", **{"val_dataloader.batchsize": 4})
    runner = build_runner(cfg, tmp_path)
    with pytest.raises(ConfigError, match="batchsize"):
        runner.val_loop  # noqa: B018 - built when it is asked for


def test_a_table_of_a_test_by_the_written_config_is_in_the_work_dir(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train(toy("crowd_counting/toy"), "run", quiet=True)
    for folder in (None, "elsewhere"):
        evaluate(load_config("run/toy.py"), "run/epoch_1.pth", folder)
    assert sorted(map(str, Path().rglob("*.csv"))) == ["elsewhere/counts.csv", "run/counts.csv"]


def test_none_leaves_a_hook_out(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy", default_hooks=dict(stop=None, logger=None))
    hooks = {type(hook).__name__ for hook in build_runner(cfg, tmp_path, quiet=True).hooks}
    assert "FiniteLossHook" in hooks and not hooks & {"StopHook", "LoggerHook"}


def test_a_config_in_its_own_work_dir_is_not_replaced(toy, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    toy("classification/toy").dump(file)
    text = f"# the user's own comment\n{file.read_text()}"
    file.write_text(text)
    build_runner(load_config(file), tmp_path, quiet=True)
    assert file.read_text() == text
    build_runner(load_config(file), tmp_path / "run", quiet=True)
    assert "model" in (tmp_path / "run" / "mine.py").read_text()


def test_no_image_is_evaluated_by_two_processes(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = toy("segmentation/toy")
    cfg.val_dataloader.dataset.length = cfg.test_dataloader.dataset.length = 7
    shares: dict[str, list[int]] = {"val": [], "test": []}
    for rank in range(3):
        monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda rank=rank: (rank, 3))
        runner = build_runner(cfg, tmp_path / str(rank), quiet=True)
        shares["val"] += runner.val_dataloader.sampler
        shares["test"] += runner.test_dataloader.sampler
    assert all(sorted(share) == list(range(7)) for share in shares.values())


_LEAVES = """
from torch.utils.data import Dataset
from ean_transfer.engine.tidy_runner import TidyRunner

class Numbers(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index

loader = TidyRunner.build_dataloader(
    dict(batch_size=1, num_workers=2, persistent_workers=True, dataset=Numbers(),
         sampler=dict(type="DefaultSampler", shuffle=False))
)
print(len(list(loader)))
"""


def _attached(toy, **options) -> Config:
    """The toy classification by a small network of timm, whose BatchNorms have an activation."""
    cfg = toy("classification/toy")
    backbone = dict(type=AttachedBackbone, model="timm:tf_efficientnet_lite0", attention="ECA")
    cfg.model.backbone = backbone | options
    cfg.model.head.in_channels = 1280
    return cfg


class _Wrapper(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def test_attention_stays_on_layers_that_are_converted_for_several_processes(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = _attached(toy)
    cfg.sync_bn = "torch"
    runner = build_runner(cfg, tmp_path / "run", quiet=True)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in runner.model.modules())  # one process
    backbone = copy.deepcopy(runner.model.backbone).eval()
    images = torch.randn(2, 3, 64, 64)
    expected = backbone(images)[0]

    monkeypatch.setattr(type(runner), "distributed", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    # As on GPUs, which DistributedDataParallel itself would ask for.
    wrapped = runner.wrap_model(dict(type=_Wrapper), runner.model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in wrapped.modules())
    torch.testing.assert_close(wrapped.module.backbone.eval()(images)[0], expected)


def test_processes_on_cpus_leave_the_written_config_as_it_is(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in dict(RANK=0, LOCAL_RANK=0, WORLD_SIZE=1, MASTER_PORT=port).items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cfg = toy("classification/toy", sync_bn="torch")
    try:
        runner = build_runner(cfg, tmp_path, launcher="pytorch", quiet=True)
        assert isinstance(runner.model, MMDistributedDataParallel)
    finally:
        torch.distributed.destroy_process_group()
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in runner.model.modules())
    written = load_config(tmp_path / "toy.py")
    assert written.sync_bn == "torch" and "model_wrapper_cfg" not in written


def test_attention_stays_on_layers_that_are_converted_for_one_process(toy, tmp_path: Path) -> None:
    network = nn.SyncBatchNorm.convert_sync_batchnorm(torchvision.models.resnet18())
    MODELS.register_module("SynchronisedNetwork", module=lambda: network, force=True)
    try:
        cfg = _attached(toy, model=dict(type="SynchronisedNetwork"))
        cfg.model.head.in_channels = 512
        train(cfg, tmp_path / "run", quiet=True)
    finally:
        MODELS.module_dict.pop("SynchronisedNetwork")
    assert find_backbone(network).ticket.connected == 8
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in network.modules())


@pytest.mark.slow
def test_a_program_ends_although_its_workers_outlive_signals() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _LEAVES], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "4"), ended.stderr
