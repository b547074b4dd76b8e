"""What importing parts of the package loads: users of plain PyTorch pay for nothing else."""

from __future__ import annotations

import subprocess
import sys

import ean_transfer
from tests.helpers import ROOT

CORE = (
    "from ean_transfer import attach, blocks_of, detach",
    "import ean_transfer.supernet",
    "import ean_transfer.search.strategies",
    "import ean_transfer.search.search",
    "from ean_transfer import optimize",
)


def loaded_by(code: str) -> set[str]:
    """Names of all modules that are loaded after running some code in a new process."""
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    return set(run.stdout.split())


def test_the_core_loads_no_openmmlab_package_but_mmengine() -> None:
    assert not {"mmcv", "mmpretrain", "mmseg"} & loaded_by("\n".join(CORE))


def test_attach_loads_neither_torchvision_nor_mmengines_models() -> None:
    modules = loaded_by("import ean_transfer; from ean_transfer import attach")
    # Each of them takes as long to import as a good part of torch.
    assert not {"torchvision", "mmengine.model", "mmengine.runner", "matplotlib"} & modules


def test_training_loads_mmseg_for_segmentation_alone() -> None:
    # Silently: a study's workers load them outside the command line's filter.
    modules = loaded_by(
        "import sys, ean_transfer.engine.runner, ean_transfer.study.jobs\n"
        "from ean_transfer.engine.config import load_config\n"
        f"load_config({str(ROOT / 'configs/classification/toy.py')!r})\n"
        "assert 'mmpretrain' in sys.modules and 'mmseg' not in sys.modules\n"
        f"load_config({str(ROOT / 'configs/segmentation/toy.py')!r})"
        ".test_dataloader.dataset.pipeline[0].type"
    )
    assert "mmseg" in modules
    assert "OneDL" not in modules  # mmseg prints "Could not import OneDL"


def test_tickets_load_no_torch() -> None:
    modules = loaded_by("from ean_transfer import Ticket; Ticket.load('zoo:ean-sge-resnet50')")
    assert not {"torch", "mmengine", "numpy"} & modules


def test_a_study_s_verdicts_load_no_torch() -> None:
    assert "torch" not in loaded_by("import ean_transfer.study.claims")


def test_every_public_name_is_loaded_on_first_use() -> None:
    names = set(ean_transfer.__all__) - {"__version__"}
    modules = loaded_by("import ean_transfer")
    assert "torch" not in modules and "pydantic" not in modules
    assert all(getattr(ean_transfer, name).__name__ == name for name in names)
