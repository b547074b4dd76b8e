"""The package as others install it: sdist and wheel, used from an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from tests.helpers import CONFIGS, ROOT

PARTS = ("pyproject.toml", "README.md", "LICENSE", "ean_transfer", "configs")


def run(*command: object, cwd: Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, out: Path) -> Path:
    """Build a wheel of a folder or an sdist, with what is installed here alone."""
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *offline, "-w", out, source, cwd=out.parent)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_has_the_configs_and_trains_in_an_empty_folder(tmp_path: Path) -> None:
    clone = tmp_path / "clone"  # a build writes into its source
    clone.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, clone / part, symlinks=True, ignore=unwanted)
        else:
            shutil.copy(ROOT / part, clone)
    sdist = "from setuptools import build_meta; build_meta.build_sdist('../sdist')"
    run(sys.executable, "-c", sdist, cwd=clone)
    (archive,) = (tmp_path / "sdist").glob("*.tar.gz")
    wheel = build(clone, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(build(archive, tmp_path / "other")) as two:
        names = set(one.namelist())
        assert names == set(two.namelist())
    configs = {f"ean_transfer/configs/{p.relative_to(CONFIGS)}" for p in CONFIGS.rglob("*.py")}
    assert configs <= names
    assert not any(name.startswith(("configs/", "tests/")) for name in names)

    home = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path)
    python = home / "bin" / "python"
    (packages,) = home.glob("lib/python*/site-packages")
    here = Path(torch.__file__).parents[1]
    (packages / "here.pth").write_text(f"{here}\n")  # but not the editable install: no .pth of it
    install = ("install", "--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, *install, wheel, cwd=tmp_path)

    empty = tmp_path / "empty"
    empty.mkdir()
    ean = home / "bin" / "ean"
    where = run(python, "-c", "import ean_transfer; print(ean_transfer.__file__)", cwd=empty)
    assert Path(where.strip()).is_relative_to(packages)
    assert "segmentation/toy " in run(ean, "configs", "toy", cwd=empty)
    (empty / "mine.py").write_text(
        "from mmengine.config import read_base\n"
        "with read_base():\n    from ean_transfer.configs.segmentation.toy import *\n"
        "train_dataloader['dataset'].update(length=4)\n"
        "train_dataloader.update(batch_size=2)\n"
        "val_dataloader['dataset'].update(length=2)\n"
        "train_cfg.update(max_epochs=1, val_interval=1)\n"
        "param_scheduler = []\n"
    )
    run(ean, "train", "mine.py", "--work-dir", "run", cwd=empty)
    assert (empty / "run/epoch_1.pth").is_file()
    few = ("--cfg-options", "test_dataloader.dataset.length=4")
    shown = run(ean, "test", "segmentation/toy", "run/epoch_1.pth", *few, cwd=empty)
    assert "mIoU" in shown
    assert (empty / "work_dirs/segmentation/toy").is_dir()
