"""The one file that a search in plain PyTorch is stopped and continued with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.files import replacing
from ean_transfer.search.resume import ANOTHER_FILE, require_same_settings
from ean_transfer.supernet.training import SupernetTraining

_KEYS = ("settings", "training", "files")


class StateFile:
    """Keeps a supernet's training and the text files of a search's folder in one file.

    Args:
        file: The file, which need not be there; ``None``: nothing is kept.
        folder: Folder of the search, whose files are kept and put back.
        settings: Settings that must be equal for a stopped search to continue.
    """

    def __init__(
        self, file: str | os.PathLike[str] | None, folder: Path, settings: Mapping[str, Any]
    ) -> None:
        self.file = None if file is None else Path(file)
        self.folder = folder
        self.settings = dict(settings)

    @property
    def has_search(self) -> bool:
        """Whether a search had begun when the file was written."""
        return any(self.folder.iterdir())

    def resume(self, training: SupernetTraining) -> None:
        """Put back what the file holds, if there is one.

        Raises:
            CheckpointError: The file is broken, or is no such state.
            ConfigError: The search was started with other settings or another network.
        """
        if self.file is None or not self.file.exists():
            return
        content = read_checkpoint(self.file)
        if any(key not in content for key in _KEYS):
            raise CheckpointError(
                f"{self.file}: expected the state of a search, found {', '.join(content)}: give "
                "state another name"
            )
        require_same_settings(content["settings"], self.settings, self.file, ANOTHER_FILE)
        try:
            training.load_state_dict(content["training"])
        except (RuntimeError, ValueError) as error:  # torch's: other shapes, or other parts frozen
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"{self.file}: the search was started with another network ({reason:.200}): give "
                "state another name"
            ) from None
        for name, text in content["files"].items():
            (self.folder / Path(name).name).write_text(text, encoding="utf-8")

    def save(self, training: SupernetTraining) -> None:
        """Write the file, atomically."""
        if self.file is None:
            return
        files = {path.name: path.read_text(encoding="utf-8") for path in self.folder.iterdir()}
        content = {
            "settings": self.settings,
            "training": training.state_dict(),
            "files": files,
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.file) as partial:
            torch.save(content, partial)
