"""Prints the oldest versions that pyproject.toml allows, as constraints for `make test-oldest`.

python tests/oldest_versions.py [--without EXTRA] > constraints.txt
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
# Each torchvision fits one torch, which pip then chooses it by.
FOLLOW_OTHERS = ("setuptools", "torchvision")


def oldest_versions(text: str, without: str | None = None) -> dict[str, str]:
    """Package -> its highest lower bound; an extra may need a newer version than the core.

    Args:
        text: Content of pyproject.toml.
        without: Name of an extra that is not installed.
    """
    if without:
        text = re.sub(rf"^{without} = \[.*?\]", "", text, flags=re.DOTALL | re.MULTILINE)
    oldest: dict[str, str] = {}
    for name, bound in re.findall(r'"([\w.-]+)>=([\d.]+)[^"]*"', text):
        if name not in FOLLOW_OTHERS:
            oldest[name] = max(oldest.get(name, "0"), bound, key=_numbers)
    return oldest


def constraint(name: str, bound: str) -> str:
    """A bound as a constraint: ``torch==2.6.*``; fixes of the oldest version are welcome."""
    parts = bound.split(".")
    return f"{name}=={bound if len(parts) > 2 else '.'.join([*parts, '0'][:2]) + '.*'}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    extra = sys.argv[2] if sys.argv[1:2] == ["--without"] else None
    for package, version in oldest_versions(PYPROJECT.read_text(encoding="utf-8"), extra).items():
        print(constraint(package, version))
        if package == "opencv-python":  # both write cv2
            print(constraint("opencv-python-headless", version))
