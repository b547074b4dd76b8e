"""What a conversion did: what was written, what was left out, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ean_transfer.data.folder_report import FILES_SHOWN, as_text, joined, row
from ean_transfer.io.image_files import IMAGE_SUFFIXES


class LeftOut:
    """Counts what is left out, by reason."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self._names: dict[str, dict[str, None]] = {}

    def add(self, reason: str, name: str, number: int = 1) -> None:
        """Count things that are left out.

        Args:
            reason: What they are and why, e.g. ``"lines: no area"``.
            name: Where they are; only the first names of a reason are kept.
            number: How many they are.
        """
        if number:
            self._numbers[reason] += number
            names = self._names.setdefault(reason, {})
            if len(names) < FILES_SHOWN:
                names.setdefault(name)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Reason -> number, and the first names."""
        return {
            reason: {"number": number, "first": list(self._names[reason])}
            for reason, number in self._numbers.items()
        }


def suffix_option(name: str, suffixes: tuple[str, ...]) -> str:
    """The option of ``ean dataset check`` for the images' suffixes; empty for the usual ones.

    Args:
        name: What the option is called.
        suffixes: The suffixes.
    """
    if suffixes == IMAGE_SUFFIXES:
        return ""
    if len(suffixes) == 1:
        return f" --data-option {name}={suffixes[0]}"
    listed = ", ".join(f'"{suffix}"' for suffix in suffixes)
    return f" --data-option '{name}=[{listed}]'"


@dataclass
class Conversion:
    """The result of a conversion.

    Attributes:
        source: What was read.
        format: Its format.
        target: The file or folder that was written.
        images: Number of images in the folder.
        annotated: Number of images that the source has annotations of.
        written: What the target holds, in words.
        classes: Class -> number of objects, images or files.
        left_out: Reason -> number, and the first names.
        not_annotated: Images of the folder that the source does not mention.
        check: Command that checks the result.
        dry_run: Whether nothing was written.
    """

    source: Path
    format: str
    target: Path
    images: int
    annotated: int
    written: str
    classes: dict[str, int]
    left_out: dict[str, dict[str, Any]]
    not_annotated: list[str] = field(default_factory=list)
    check: str = ""
    dry_run: bool = False

    def text(self, not_annotated: str) -> str:
        """The report as text.

        Args:
            not_annotated: What becomes of images without annotation.
        """
        head = "would write" if self.dry_run else "wrote"
        lines = [
            f"{self.source}: {self.format}",
            row(head, f"{self.target}: {self.written}"),
            row("images", f"{self.annotated} of {self.images} with annotation"),
        ]
        if any(self.classes):
            shown = [f"{name or 'without class'} {n}" for name, n in self.classes.items()]
            lines.append(row("classes", ", ".join(shown)))
        if names := self.not_annotated:
            lines.append(row("no annotation", f"{len(names)}, {not_annotated}: {joined(names)}"))
        for reason, what in self.left_out.items():
            first = ", ".join(what["first"]) + ", ..." * (what["number"] > len(what["first"]))
            lines.append(row("left out", f"{what['number']} {reason} ({first})"))
        if not self.dry_run:
            lines.append(row("next", self.check))
        return as_text(lines)

    def as_dict(self) -> dict[str, Any]:
        """The report as data for JSON."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
        }
