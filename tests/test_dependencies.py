"""What pyproject.toml and constraints.txt say of other packages."""

from __future__ import annotations

import re

import pytest

from tests.helpers import ROOT
from tests.oldest_versions import constraint, oldest_versions

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PINNED = dict(
    re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
)


def test_every_dependency_has_its_reason_and_a_pinned_version() -> None:
    project = PYPROJECT.split("[project.scripts]")[0] + PYPROJECT.split("optional-dependencies]")[1]
    lines = [line for line in project.splitlines() if re.search(r'"[\w.-]+>=', line)]
    lines = [line for line in lines if not line.startswith("requires")]
    assert len(lines) > 20
    assert [line for line in lines if not re.search(r"#  *\S", line)] == []
    assert set(oldest_versions(PYPROJECT)) <= set(PINNED)


def test_both_packages_of_cv2_are_of_one_version_and_the_headless_one_comes_last() -> None:
    assert PINNED["opencv-python"] == PINNED["opencv-python-headless"]
    makefile = (ROOT / "Makefile").read_text()
    for target in ("$(INSTALLED): ", "oldest-dev oldest-core:"):
        recipe = makefile.split(f"\n{target}")[1].split("\n\n")[0]
        assert recipe.index("--editable") < recipe.index("--force-reinstall opencv-python-headless")


def test_an_extra_may_raise_the_lower_bound() -> None:
    text = 'dependencies = ["torch>=2.6", "torchvision>=0.21"]\nexport = ["torch>=2.10"]'
    assert oldest_versions(text) == {"torch": "2.10"}  # torchvision follows torch
    assert oldest_versions(text, without="export") == {"torch": "2.6"}


def test_the_core_is_tried_with_its_own_oldest_torch() -> None:
    everything, core = oldest_versions(PYPROJECT), oldest_versions(PYPROJECT, without="export")
    assert (core["torch"], everything["torch"]) == ("2.6", "2.9")
    assert "onnx" not in core and "pytest" in core


@pytest.mark.parametrize(
    ("bound", "expected"), [("8", "x==8.0.*"), ("2.6", "x==2.6.*"), ("0.10.10", "x==0.10.10")]
)
def test_the_oldest_version_is_taken_with_its_fixes(bound: str, expected: str) -> None:
    assert constraint("x", bound) == expected
