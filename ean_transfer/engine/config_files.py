"""Where a config is: in a file of one's own, or among those that come with the package.

Imports no torch, so that ``ean configs`` answers at once.
"""

from __future__ import annotations

import ast
import os
from difflib import get_close_matches
from pathlib import Path

PACKAGE = "ean_transfer.configs"
_FOLDER = Path(__file__).parents[1] / "configs"


def config_file(name: str | os.PathLike[str]) -> Path:
    """The file of a config that is named by its path or by its name in the package.

    Args:
        name: A path; or ``ean_transfer.configs.segmentation.toy``, ``segmentation/toy`` or
            ``configs/segmentation/toy.py`` for a config of the package. A file that exists comes
            first.

    Returns:
        The file; the name as it is where there is no such config.
    """
    file = Path(name)
    if file.is_file():
        return file
    own = _FOLDER / f"{_short(name)}.py"
    return own if own.is_file() else file


def installed_configs(word: str = "", bases: bool = False) -> dict[str, str]:
    """The package's configs, by their short name, each with the first line of its docstring.

    Args:
        word: What the name or the line must contain, in any case.
        bases: Whether to list the parts in ``_base_``, that other configs read, instead.
    """
    files = sorted(_FOLDER.rglob("*.py"))
    names = {file.relative_to(_FOLDER).with_suffix("").as_posix(): file for file in files}
    lines = {
        name: (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0]
        for name, file in names.items()
        if name.startswith("_base_/") == bases
    }
    return {name: line for name, line in lines.items() if word.lower() in f"{name} {line}".lower()}


def similar_config(name: str | os.PathLike[str]) -> str | None:
    """The short name of the package's config that is most like a name; ``None`` if none is."""
    near = get_close_matches(_short(name), installed_configs(), n=1)
    return near[0] if near else None


def _short(name: str | os.PathLike[str]) -> str:
    text = os.fspath(name)
    if text.startswith(f"{PACKAGE}."):
        return text.removeprefix(f"{PACKAGE}.").replace(".", "/")
    return text.removeprefix("configs/").removesuffix(".py")
