"""From a training's checkpoint to a file that is known to compute the same."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Literal

import torch
from mmengine.config import Config
from torch import Tensor, nn

import ean_transfer
from ean_transfer.asr import fold
from ean_transfer.attachment.batchnorm import FOLDED_NORMS, fold_norms
from ean_transfer.attachment.network import find_ticket
from ean_transfer.data.config import class_names, gives_rgb, test_pipeline
from ean_transfer.engine.inference import load_trained
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.export import files
from ean_transfer.export.comparison import TOLERANCE, TOLERANCE_HALF, worst_differences
from ean_transfer.export.files import FORMATS, PREFIX, ExportError, Format, Run, failing_as
from ean_transfer.export.networks import PixelNetwork, network_class
from ean_transfer.export.options import SMALLEST, GraphOptions, Side
from ean_transfer.export.preparation import preparation_text
from ean_transfer.fusion.optimize import faster_channels_last
from ean_transfer.io.checked import checked_arguments
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.files import refuse_to_replace, replacing


class Deployment:
    """A trained network on its way into a file.

    It takes images whole: the sliding windows of a segmentor's ``test_cfg`` and the tiles of a
    counter are loops around the network and stay outside.

    Args:
        cfg: The config that the network was trained with; left as it is.
        checkpoint: The checkpoint; the network is built with the ticket it carries.
        folding: ``"auto"``: fold re-parameterised attention (:func:`ean_transfer.asr.fold`), if
            there is any; ``"never"``: export the network as it was trained.
        optimize: Whether to fold every BatchNorm that certainly follows a convolution.
        image_size: (H, W) of the image that the network is run with to find these.

    Attributes:
        trained: The checkpoint's model.
        model: The model that is exported.
        trained_ticket, ticket: Their tickets; ``None`` if the backbone takes none.
        folded: The number of blocks whose attention was folded.
        folded_norms: Name of each BatchNorm that was folded -> its convolution's.
        channels_last: Whether the file that was written last has weights that are channels-last.
        network: The model from pixels to answers, as it is exported.
        cuts_images: Whether the config has windows or tiles.

    Raises:
        ConfigError: The config's model is of none of the three tasks, or cannot be exported.
        CheckpointError, TicketError: The checkpoint cannot be read or is of another network.
        ExportError: The network to optimize does not take images of this size.
    """

    @checked_arguments
    def __init__(
        self,
        cfg: Config,
        checkpoint: str | os.PathLike[str],
        folding: Literal["auto", "never"] = "auto",
        optimize: bool = False,
        image_size: tuple[Side, Side] = (64, 96),
    ) -> None:
        self.cfg = cfg
        self.task = network_class(cfg)
        self.trained = self._load(checkpoint)
        self.trained_ticket = ticket = find_ticket(self.trained)
        self.folded = ticket.to_fold if ticket and folding == "auto" else 0
        self.model = fold(self.trained) if self.folded else self.trained
        self.optimize, self.channels_last = optimize, False
        self.folded_norms: dict[str, str] = {}
        if optimize:
            self.model = copy.deepcopy(self.model)
            height, width = image_size
            with failing_as(f"{cfg.filename}: fails on images of {height} x {width} pixels"):
                self.folded_norms = fold_norms(self.model, (torch.rand(1, 3, height, width),))
        self.ticket = find_ticket(self.model)
        self.fed_rgb = gives_rgb(cfg)
        self.network = self._network(self.model, GraphOptions())
        self.trained_on = read_checkpoint(checkpoint).get("meta", {}).get("dataset_meta") or {}
        test_cfg = cfg.model.get("test_cfg") or {}
        self.cuts_images = bool(cfg.model.get("tiles")) or test_cfg.get("mode") == "slide"

    @checked_arguments
    def write(
        self,
        file: str | os.PathLike[str],
        format: Format = "onnx",
        image_size: tuple[Side, Side] = (64, 96),
        options: GraphOptions | None = None,
    ) -> dict[str, float]:
        """Write the file, check it, and only then give it its name.

        The file is compared with the network as it was trained, not folded, in its own test step.
        The images are random: one of ``image_size``, three of the next odd size, two of the
        smallest size that the file is promised for; of a file of one size, two batches of it.

        Args:
            file: File to write; an earlier export is replaced.
            format: One of :data:`~ean_transfer.export.files.FORMATS`.
            image_size: (H, W) of the images that the network is traced and checked with; the file
                takes others as well.
            options: What else the graph shall be, for the formats that hold one.

        Returns:
            The largest difference of each output from the network's, see
            :func:`~ean_transfer.export.comparison.differences`.

        Raises:
            ConfigError: See :func:`require_ready`; or the image size is too small, or an option is
                not for this format or task.
            ExportError: The network cannot be exported for images of any size, or an output of the
                file would be farther from the network's than
                :data:`~ean_transfer.export.comparison.TOLERANCE`.
        """
        out, options = Path(file), options or GraphOptions()
        require_ready(out, format)
        self._require_fitting(format, options)
        if options != self.network.options:
            self.network = self._network(self.model, options)
        self.channels_last = (
            self.optimize
            and format == "torch-export"
            and self._use_channels_last(options.static or (1, *image_size))
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        tolerance = TOLERANCE_HALF if options.half else TOLERANCE
        with replacing(out) as partial:
            smallest = self._write(partial, format, image_size, options)
            height, width = image_size
            odd = height + 1 | 1, width + 1 | 1  # no stride divides an odd size
            shapes = [(1, height, width), (3, *odd), (2, *smallest)]
            if options.static:
                shapes = 2 * [options.static]
            worst = self._compare(self._reader(partial, format), shapes)
            if not all(value <= tolerance for value in worst.values()):  # a NaN is not below it
                values = ", ".join(f"{name} by {value:.1g}" for name, value in worst.items())
                remedy = "leave out --half" if options.half else "try another --format"
                raise ExportError(
                    f"{out}: not written, it would differ from the network as trained ({values}; "
                    f"at most {tolerance:.0e} is allowed): {remedy}"
                )
        return worst

    def _use_channels_last(self, shape: tuple[int, int, int]) -> bool:
        """Make the network channels-last if that is measured to be faster; return whether it is."""
        images, height, width = shape
        wins = faster_channels_last(self.network, (torch.zeros(images, 3, height, width),))
        if wins:
            self.network = self.network.to(memory_format=torch.channels_last)
        return wins

    def _require_fitting(self, format: Format, options: GraphOptions) -> None:
        """Refuse options that have no meaning for a format or for the task."""
        defaults = GraphOptions()
        changed = [name for name, value in options if value != getattr(defaults, name)]
        for name in changed:
            if format == "checkpoint" or (name == "opset" and format != "onnx"):
                raise ConfigError(f"--{name}: expected another --format, found {format}")
        if options.labels != "int64" and self.task.task != "segmentation":
            raise ConfigError(f"--labels: expected a segmentor, found {self.task.task}")
        if options.labels == "uint8" and (self.network.num_classes or 0) > 256:
            raise ConfigError(
                f"--labels uint8: expected at most 256 classes, found {self.network.num_classes}"
            )

    def _load(self, checkpoint: str | os.PathLike[str]) -> nn.Module:
        """A checkpoint's model on the CPU, which takes images whole."""
        changes = self.task.whole_images(self.cfg.model)
        return load_trained(self.cfg, checkpoint, self.task.kind, changes, device="cpu")

    def _network(self, model: nn.Module, options: GraphOptions) -> PixelNetwork:
        return self.task(copy.deepcopy(model), self.fed_rgb, options).eval()

    def _write(
        self, file: Path, format: Format, image_size: tuple[int, int], options: GraphOptions
    ) -> tuple[int, int]:
        """Write one format; returns the smallest (H, W) that the file is promised for."""
        if format == "checkpoint":
            meta = {"dataset_meta": self.trained_on, FOLDED_NORMS: self.folded_norms}
            meta = {key: value for key, value in meta.items() if value}
            write_network(self.model, file, **meta, export=self._metadata())
            return SMALLEST, SMALLEST
        static = options.static
        sizes = "of this size" if static else "of any size"
        with failing_as(f"{self.cfg.filename}: cannot be exported for images {sizes}"):
            program = files.export_program(self.network, image_size, static)
        if static:
            height, width = static[1:]
            metadata = self._metadata(shape=static)
        else:
            height, width = (max(SMALLEST, side) for side in files.smallest_image(program))
            metadata = self._metadata(f"; H >= {height}, W >= {width}")
        if format == "onnx":
            opset = options.opset or files.OPSET
            with failing_as(f"{self.cfg.filename}: cannot be exported as onnx"):
                model = files.onnx_program(program, self.network.outputs, opset, bool(static))
            files.write_onnx(model, file, metadata)
        else:
            files.write_program(program, file, metadata)
        return height, width

    def _metadata(
        self, sizes: str = "", shape: tuple[int, int, int] | None = None
    ) -> dict[str, str]:
        """What the file says of itself, see :func:`~ean_transfer.export.files.read_metadata`."""
        batch, height, width = shape or ("N", "H", "W")
        metadata = {
            "version": ean_transfer.__version__,
            "task": self.network.task,
            "input": f"image: float32 ({batch}, 3, {height}, {width}), RGB, 0..255{sizes}",
            "outputs": self.network.outputs_text(),
        }
        if shape is not None:
            metadata["shape"] = json.dumps(shape)
        if preparation := preparation_text(test_pipeline(self.cfg)):
            metadata["preparation"] = preparation
        if self.ticket is not None:
            metadata["ticket"] = self.ticket.to_json()
        names = class_names(self.cfg, self.trained_on)
        # A data set's names of another number would label the outputs wrongly.
        if names and self.network.num_classes in (None, len(names)):
            metadata["classes"] = json.dumps(names)
        if self.network.num_classes is not None:
            metadata["num_classes"] = str(self.network.num_classes)
            palette = self.network.palette(self.cfg)
            if len(palette) == self.network.num_classes:
                metadata["palette"] = json.dumps(palette)
        return {f"{PREFIX}{name}": text for name, text in metadata.items()}

    def _reader(self, file: Path, format: Format) -> Run:
        if format == "checkpoint":
            return self._network(self._load(file), GraphOptions())
        return files.run_onnx(file) if format == "onnx" else files.run_program(file)

    def _compare(self, run: Run, shapes: list[tuple[int, int, int]]) -> dict[str, float]:
        def exported(images: Tensor) -> dict[str, Tensor]:
            batch, _, height, width = images.shape
            with failing_as(
                f"{self.cfg.filename}: once exported, the network fails on {batch} images of "
                f"{height} x {width} pixels"
            ):
                return run(images.float())

        def expected(images: Tensor) -> dict[str, Tensor]:
            return self.task.expected(self.trained, images if self.fed_rgb else images.flip(1))

        return worst_differences(exported, expected, shapes)


@checked_arguments
def require_ready(file: str | os.PathLike[str], format: Format) -> None:
    """Refuse what cannot or must not be written, before anything is loaded.

    Raises:
        ConfigError: The format is unknown or its packages are not installed; the file's suffix is
            another than the format's; the folder cannot be written to; or the file exists and is
            not an earlier export.
    """
    out = Path(file)
    files.require_packages(format)
    if out.suffix != FORMATS[format]:
        raise ConfigError(f"{out}: expected a {FORMATS[format]} file for --format {format}")
    refuse_to_replace([out], "a new file or an earlier export", is_ours=_is_export)


def _is_export(file: Path) -> bool:
    try:
        return bool(files.read_metadata(file))
    except ExportError:
        return False
