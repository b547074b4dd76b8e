"""From a config and a checkpoint, a work dir or an exported file to a predictor of its task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

from mmengine.config import Config

from ean_transfer.classification.inference import Classifier
from ean_transfer.crowd_counting.inference import CrowdCounter
from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.engine.config import load_config, model_class
from ean_transfer.engine.inference import Predictor
from ean_transfer.errors import ConfigError
from ean_transfer.export.networks import network_class
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.prediction.exported import SUFFIXES, ExportedModel
from ean_transfer.segmentation.inference import Segmenter
from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.files import ticket_of

Source: TypeAlias = Config | str | os.PathLike[str]
TASKS: dict[str, type[Predictor[Any]]] = {
    "classification": Classifier,
    "segmentation": Segmenter,
    "crowd counting": CrowdCounter,
}
"""Task, as exported files call it -> its predictor."""


def load(
    source: Source,
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    **options: Any,
) -> Predictor[Any]:
    """A trained network of any task, ready for images: ``load(...).predict("photo.jpg")``.

    Args:
        source: A config; a work dir of a training; an exported ``.onnx`` or ``.pt2`` file; or a
            ticket file, for the config that lies beside the checkpoint.
        checkpoint: The checkpoint, or an exported file, whose images the config then prepares. Not
            needed for an exported file; of a work dir it is the last one by default.
        device: Device to compute on; by default an accelerator, if there is one. Exported files run
            on the CPU, and take no other device.
        **options: ``tiles`` of segmentation and counting, ``top`` of classification, ``regions``
            and ``points`` of counting; see the predictors
            :class:`~ean_transfer.classification.inference.Classifier`,
            :class:`~ean_transfer.segmentation.inference.Segmenter` and
            :class:`~ean_transfer.crowd_counting.inference.CrowdCounter`.

    Returns:
        The predictor. Its ``predict`` takes a file, an array (H, W, 3) uint8 in BGR, or a list of
        them, and gives a ``ClassScores``, ``LabelMap`` or ``Count`` for each image.

    Raises:
        ConfigError: There is no such config, or no checkpoint for it; an option is of another task.
        CheckpointError, TicketError, ExportError: The checkpoint or the exported file cannot be
            read, or is of another network or ticket.
    """
    if not isinstance(source, Config) and is_exported(source):
        model = ExportedModel(source)
        predictor = TASKS[model.about["task"]]
        _require_options(predictor, options, exported=True, device=device)
        return predictor(model, model.setting(), **options)
    cfg, checkpoint = _config_and_checkpoint(source, checkpoint)
    predictor = predictor_class(cfg)
    exported = is_exported(checkpoint)
    _require_options(predictor, options, exported, device)
    if exported:
        setting = predictor.setting_of(cfg, {})
        model = ExportedModel(checkpoint, setting.gives_rgb)
        _require_task(cfg, model)
        names = model.classes if predictor is Classifier else setting.classes
        return predictor(model, setting._replace(classes=names), **options)
    return predictor.trained(cfg, checkpoint, device=device, **options)


def predictor_class(cfg: Config) -> type[Predictor[Any]]:
    """The predictor for the task of a config's model.

    Raises:
        ConfigError: The model is of none of the three tasks.
    """
    model = model_class(cfg, *(predictor.kind for predictor in TASKS.values()))
    return next(kind for kind in TASKS.values() if issubclass(model, kind.kind))


def is_exported(file: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of an exported network."""
    return Path(file).suffix.lower() in SUFFIXES


def _config_and_checkpoint(
    source: Source, checkpoint: str | os.PathLike[str] | None
) -> tuple[Config, str | os.PathLike[str]]:
    if not isinstance(source, Config) and Path(source).is_dir():
        return config_in(source), checkpoint or last_checkpoint(source)
    if checkpoint is None:
        raise ConfigError(
            f"{getattr(source, 'filename', source)}: expected a checkpoint to load beside it, "
            "found none: name one, or give a work dir or an exported file instead"
        )
    if isinstance(source, Config):
        return source, checkpoint
    if Path(source).suffix == ".json":
        _require_ticket(Ticket.load(source), source, checkpoint)
        return config_in(Path(checkpoint).parent), checkpoint
    return load_config(source), checkpoint


def config_in(folder: str | os.PathLike[str]) -> Config:
    """The config that a training has written into its work dir.

    Raises:
        ConfigError: There is none, or there are several.
    """
    files = sorted(Path(folder).glob("*.py"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise ConfigError(
            f"{folder}: expected the config that a training writes into its work dir, found "
            f"{names}: name the config and the checkpoint"
        )
    return load_config(files[0])


def _require_ticket(
    ticket: Ticket, source: str | os.PathLike[str], checkpoint: str | os.PathLike[str]
) -> None:
    carried = ticket_of(read_checkpoint(checkpoint))
    if carried is None or carried.id != ticket.id:
        actual = "none" if carried is None else carried.id
        raise TicketError(
            f"{checkpoint}: expected a network of the ticket {source}, id {ticket.id}, found "
            f"{actual}"
        )


def _require_options(
    predictor: type[Predictor[Any]],
    options: dict[str, Any],
    exported: bool,
    device: str | None,
) -> None:
    """Refuse options of another task, and tiles and a device of an exported file."""
    for name in options:
        if name not in predictor.options:
            tasks = [task for task, kind in TASKS.items() if name in kind.options]
            raise ConfigError(
                f"{name}: expected a network of {' or '.join(tasks) or 'another kind'}, found a "
                f"{predictor.__name__}"
            )
    if exported and "tiles" in options:
        raise ConfigError("tiles: an exported file takes whole images, give the checkpoint instead")
    if exported and device not in (None, "cpu"):
        raise ConfigError(f"device: an exported file runs on the CPU, found {device}")


def _require_task(cfg: Config, model: ExportedModel) -> None:
    if network_class(cfg).task != model.about["task"]:
        raise ConfigError(
            f"{model.file}: expected a network of {network_class(cfg).task}, the task of "
            f"{cfg.filename}, found one of {model.about['task']}"
        )
