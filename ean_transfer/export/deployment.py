"""From a training's checkpoint to a file that is known to compute the same."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

from mmengine.config import Config
from torch import Tensor, nn

import ean_transfer
from ean_transfer.asr import fold
from ean_transfer.attachment.network import find_ticket
from ean_transfer.data.config import class_names, gives_rgb
from ean_transfer.engine.inference import load_trained
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.export import files
from ean_transfer.export.comparison import TOLERANCE, worst_differences
from ean_transfer.export.files import FORMATS, PREFIX, ExportError, Run
from ean_transfer.export.networks import PixelNetwork, network_class
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.files import replacing

SMALLEST = 32
"""Pixels a side of the smallest images that a file is promised for, if the network takes them."""


class Deployment:
    """A trained network on its way into a file.

    It takes images whole: the sliding windows of a segmentor's ``test_cfg`` and the tiles of a
    counter are loops around the network and stay outside.

    Args:
        cfg: The config that the network was trained with; left as it is.
        checkpoint: Its checkpoint, whose ticket the network is built with.
        folding: ``"auto"``: fold re-parameterised attention (:func:`ean_transfer.asr.fold`), if
            there is any; ``"never"``: export the network as it was trained.

    Attributes:
        trained: The checkpoint's model.
        model: The model that is exported.
        trained_ticket, ticket: Their tickets; ``None`` if the backbone takes none.
        folded: The number of blocks whose attention was folded.
        network: The model from pixels to answers, as it is exported.
        cuts_images: Whether the config has windows or tiles.

    Raises:
        ConfigError: The config's model is of none of the three tasks, or cannot be exported.
        CheckpointError, TicketError: The checkpoint cannot be read or is of another network.
    """

    def __init__(
        self, cfg: Config, checkpoint: str | os.PathLike[str], folding: str = "auto"
    ) -> None:
        if folding not in ("auto", "never"):
            raise ConfigError(f"expected folding as 'auto' or 'never', found {folding!r}")
        self.cfg = cfg
        self.task = network_class(cfg)
        self.trained = self._load(checkpoint)
        self.trained_ticket = ticket = find_ticket(self.trained)
        self.folded = ticket.to_fold if ticket and folding == "auto" else 0
        self.model = fold(self.trained) if self.folded else self.trained
        self.ticket = find_ticket(self.model)
        self.fed_rgb = gives_rgb(cfg)
        self.network = self._network(self.model)
        self.trained_on = read_checkpoint(checkpoint).get("meta", {}).get("dataset_meta") or {}
        test_cfg = cfg.model.get("test_cfg") or {}
        self.cuts_images = bool(cfg.model.get("tiles")) or test_cfg.get("mode") == "slide"

    def write(
        self,
        file: str | os.PathLike[str],
        format: str = "onnx",
        image_size: tuple[int, int] = (64, 96),
    ) -> dict[str, float]:
        """Write the file, check it, and only then give it its name.

        Compared with the network as it was trained, not folded, in its own test step, are random
        images: one of ``image_size``, three of the next odd size, two of the smallest size that the
        file is promised for.

        Args:
            file: What to write; an earlier export is replaced.
            format: One of :data:`~ean_transfer.export.files.FORMATS`.
            image_size: (H, W) of the images that the network is traced and checked with; the file
                takes others as well.

        Returns:
            For each output how far it is from the network's at worst, see
            :func:`~ean_transfer.export.comparison.differences`.

        Raises:
            ConfigError: See :func:`require_ready`; or the image size is too small.
            ExportError: The network cannot be exported for images of any size, or an output of the
                file would be farther from the network's than
                :data:`~ean_transfer.export.comparison.TOLERANCE`.
        """
        out = Path(file)
        require_ready(out, format)
        height, width = image_size
        if min(image_size) < SMALLEST:
            raise ConfigError(
                f"expected an image size of at least {SMALLEST} pixels a side, found "
                f"{height} x {width}"
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as partial:
            smallest = self._write(partial, format, image_size)
            odd = height + 1 | 1, width + 1 | 1  # which no stride divides
            found = self._check(
                self._reader(partial, format), [(1, *image_size), (3, *odd), (2, *smallest)]
            )
            if not all(value <= TOLERANCE for value in found.values()):  # nor is a NaN
                values = ", ".join(f"{name} by {value:.1g}" for name, value in found.items())
                raise ExportError(
                    f"{out}: not written, since it would differ from the network as trained "
                    f"({values}; allowed are {TOLERANCE:.0e}): this network cannot be exported as "
                    f"{format}"
                )
        return found

    def _load(self, checkpoint: str | os.PathLike[str]) -> nn.Module:
        """A checkpoint's model on the CPU, which takes images whole."""
        changes = self.task.whole_images(self.cfg.model)
        return load_trained(self.cfg, checkpoint, self.task.kind, changes, device="cpu")

    def _network(self, model: nn.Module) -> PixelNetwork:
        return self.task(copy.deepcopy(model), self.fed_rgb).eval()

    def _write(self, file: Path, format: str, image_size: tuple[int, int]) -> tuple[int, int]:
        """Write one format; returns the smallest (H, W) that the file is promised for."""
        if format == "checkpoint":
            dataset = {"dataset_meta": self.trained_on} if self.trained_on else {}
            write_network(self.model, file, **dataset, export=self._metadata())
            return SMALLEST, SMALLEST
        try:
            program = files.export_program(self.network, image_size)
            height, width = (max(SMALLEST, side) for side in files.smallest_image(program))
            metadata = self._metadata(f"; H >= {height}, W >= {width}")
            if format == "onnx":
                files.write_onnx(program, file, self.network.outputs, metadata)
            else:
                files.write_program(program, file, metadata)
        except ExportError as error:
            raise ExportError(f"{self.cfg.filename}: {error}") from error
        return height, width

    def _metadata(self, sizes: str = "") -> dict[str, str]:
        """What the file says of itself, see :func:`~ean_transfer.export.files.read_metadata`."""
        metadata = {
            "version": ean_transfer.__version__,
            "task": self.network.task,
            "input": f"image: float32 (N, 3, H, W), RGB, 0..255{sizes}",
            "outputs": self.network.outputs_text(),
        }
        if self.ticket is not None:
            metadata["ticket"] = self.ticket.to_json()
        names = class_names(self.cfg, self.trained_on)
        if names and self.network.num_classes in (None, len(names)):
            metadata["classes"] = json.dumps(names)
        return {f"{PREFIX}{name}": text for name, text in metadata.items()}

    def _reader(self, file: Path, format: str) -> Run:
        if format == "checkpoint":
            return self._network(self._load(file))
        return files.run_onnx(file) if format == "onnx" else files.run_program(file)

    def _check(self, run: Run, shapes: list[tuple[int, int, int]]) -> dict[str, float]:
        def found(images: Tensor) -> dict[str, Tensor]:
            try:
                return run(images.float())
            except Exception as error:  # the runtimes raise many kinds
                batch, _, height, width = images.shape
                raise ExportError(
                    f"{self.cfg.filename}: once exported, the network fails on {batch} images of "
                    f"{height} x {width} pixels ({files.first_line(error)})"
                ) from error

        def expected(images: Tensor) -> dict[str, Tensor]:
            return self.task.expected(self.trained, images if self.fed_rgb else images.flip(1))

        return worst_differences(found, expected, shapes)


def require_ready(file: str | os.PathLike[str], format: str) -> None:
    """Refuse what cannot or must not be written, before anything is loaded.

    Raises:
        ConfigError: An unknown format; its packages are not installed; a file of another suffix
            than the format's, or one that exists and is not an earlier export.
    """
    out = Path(file)
    if format not in FORMATS:
        raise ConfigError(f"expected a format of {', '.join(FORMATS)}, found {format!r}")
    files.require_packages(format)
    if out.suffix != FORMATS[format]:
        raise ConfigError(f"expected a {FORMATS[format]} file for {format}, found {out}")
    if out.exists():
        try:
            files.read_metadata(out)
        except ExportError:
            raise ConfigError(
                f"{out}: expected a new file or one of an earlier export, found another, which "
                "would be replaced; choose another name"
            ) from None
