"""Where networks look: Grad-CAM of several networks on the same images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
import torch
from matplotlib import colormaps
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from ean_transfer.analysis.inspect.robustness import labels_of
from ean_transfer.attachment.network import evaluating
from ean_transfer.backbones import TicketBackbone
from ean_transfer.data.config import gives_rgb
from ean_transfer.engine.inference import Picture, load_trained
from ean_transfer.errors import ConfigError
from ean_transfer.visualization.labels import BACKGROUND, draw_text
from ean_transfer.visualization.sheet import GAP, Cell, draw_sheet

TARGETS = ("true", "predicted")
SIDE = 192  # pixels: the longer side of a picture in the sheet
MOST_CLASSES = 10  # shown by default, an image of each
OPACITY = 0.75  # of the colours where a map is largest; where it is 0 they are not seen
_HEAT = colormaps["inferno"]


@dataclass(frozen=True)
class Explained:
    """What one network makes of one image.

    Attributes:
        predicted: Index of the class with the largest probability.
        probability: Of the predicted class, in [0, 1].
        of_target: Probability of the class that the map explains.
        map: (h, w) float32, not negative: evidence for that class, at the stage's resolution.
    """

    predicted: int
    probability: float
    of_target: float
    map: np.ndarray


def grad_cam(
    model: ImageClassifier, inputs: Tensor, targets: Tensor, stage: int | None = None
) -> Tensor:
    """Grad-CAM maps (Selvaraju et al. 2017, arXiv 1610.02391) of a classifier, by captum.

    With A the stage's output and y the logit of the target class, ``relu(sum_k a_k A_k)``, where
    ``a_k`` is the mean over positions of ``dy / dA_k``.

    Args:
        model: The classifier; its mode is put back, and its parameters get no gradients.
        inputs: (N, 3, H, W), preprocessed.
        targets: (N,), a class an image.
        stage: Of the backbone, from 1; the last one that the head sees by default.

    Returns:
        (N, h, w), at the resolution of the stage's output.

    Raises:
        ConfigError: If captum is not installed, or there is no such stage.
    """
    _require_captum()
    from captum.attr import LayerGradCam

    layer = _output_of(model.backbone, stage)
    images = inputs.detach().requires_grad_()  # for a map also where all layers are frozen
    with evaluating(model), torch.enable_grad():
        maps = LayerGradCam(model, layer).attribute(images, target=targets, relu_attributions=True)
    return maps.detach()[:, 0]


def explain(
    model: ImageClassifier, batch: Mapping[str, Any], target: str = "true", stage: int | None = None
) -> list[Explained]:
    """Predictions and Grad-CAM maps.

    Args:
        model: The classifier.
        batch: Packed images with labels, as a data loader gives them.
        target: The class that is explained: the ``"true"`` one, or the ``"predicted"``.
        stage: As for :func:`grad_cam`.

    Raises:
        ConfigError: For another target, images without one label each, and as :func:`grad_cam`.
    """
    if target not in TARGETS:
        raise ConfigError(f"expected {' or '.join(TARGETS)} as the target, found {target!r}")
    true = labels_of(batch)
    data: Any = model.data_preprocessor(dict(batch))
    inputs = data["inputs"]
    with evaluating(model), torch.no_grad():
        probabilities = model(inputs).softmax(dim=1)
    predicted = probabilities.argmax(dim=1)
    targets = true.to(predicted.device) if target == "true" else predicted
    maps = grad_cam(model, inputs, targets, stage).cpu().numpy()
    of_target = probabilities.gather(1, targets[:, None])[:, 0]
    return [
        Explained(*found)
        for found in zip(
            predicted.tolist(),
            probabilities.amax(dim=1).tolist(),
            of_target.tolist(),
            maps,
            strict=True,
        )
    ]


def gradcam_sheet(
    cfg: Config,
    checkpoints: Mapping[str, str | os.PathLike[str]],
    samples: Sequence[int] | None = None,
    *,
    stage: int | None = None,
    target: str = "true",
    seed: int = 0,
    device: str | None = None,
    with_images: bool = True,
) -> tuple[Picture, dict[str, Any]]:
    """Test images, a row each: image | Grad-CAM of each network, with what it predicts.

    Each map is scaled to its own largest value, so colours say where a network looks, and not how
    much more than another.

    Args:
        cfg: The config of the networks, of which one at a time is in memory.
        checkpoints: Name -> checkpoint, whose ticket the backbone is built with.
        samples: Places in the test set, from 0; by default one drawn of each class, of ten
            classes, evenly spread, if there are more.
        stage: As for :func:`grad_cam`.
        target: As for :func:`explain`.
        seed: Of the draw of samples.
        device: Where to compute; an accelerator by default, if there is one.
        with_images: Otherwise the maps alone are drawn, on black.

    Returns:
        RGB uint8, and all numbers: predictions, probabilities and maps.

    Raises:
        ConfigError: The config is not of classification, its test set has no such sample, there is
            no such stage, or captum is not installed.
        DataError: The test set is not there, or one of its images cannot be read.
        CheckpointError, TicketError: A checkpoint cannot be read or is of another network.
    """
    _require_captum()
    explained: dict[str, list[Explained]] = {}
    batch: dict[str, Any] | None = None
    for name, checkpoint in checkpoints.items():
        model = load_trained(cfg, checkpoint, ImageClassifier, device=device)
        if batch is None:  # only now: a wrong config is told before the data set is read
            dataset: Any = DATASETS.build(cfg.test_dataloader["dataset"])
            chosen = _chosen(dataset, samples, seed, cfg.filename)
            batch = pseudo_collate([dataset[place] for place in chosen])
            is_bgr = not gives_rgb(cfg)
        explained[name] = explain(model, batch, target, stage)
    assert batch is not None
    classes = dataset.metainfo.get("classes")
    labels = labels_of(batch).tolist()

    def class_name(index: int) -> str:
        return str(classes[index]) if classes else f"class {index}"

    rows, numbers = [], []
    for row, (place, label) in enumerate(zip(chosen, labels, strict=True)):
        image = batch["inputs"][row].numpy()[:: -1 if is_bgr else 1].transpose(1, 2, 0)
        shown = _enlarged(np.ascontiguousarray(image))
        if not with_images:
            shown = np.zeros_like(shown)
        found = {name: several[row] for name, several in explained.items()}
        cells = [Cell(shown, f"{class_name(label)} ({place})")]
        for one in found.values():
            text = f"{class_name(one.predicted)} {one.probability:.0%}"
            wrong = "" if one.predicted == label else "wrong: "
            cells.append(Cell(overlay(shown, one.map), wrong + text))
        rows.append(cells)
        numbers.append(
            {
                "sample": place,
                "label": class_name(label),
                "networks": {
                    name: {
                        "predicted": class_name(one.predicted),
                        "probability": one.probability,
                        "probability_of_target": one.of_target,
                        "map": one.map.tolist(),
                    }
                    for name, one in found.items()
                },
            }
        )
    sheet = draw_sheet(rows, ["image", *checkpoints])
    legend = _legend(sheet.shape[1], f"Grad-CAM of the {target} class")
    return np.vstack((sheet, legend)), {"target": target, "stage": stage, "images": numbers}


def overlay(image: Picture, evidence: np.ndarray) -> Picture:
    """A map's colours over the image in grey, the more the larger the map's value is.

    Args:
        image: (H, W, 3) RGB.
        evidence: (h, w), not negative; enlarged bilinearly and scaled to its largest value.

    Returns:
        (H, W, 3) RGB; the grey image where the map is 0 everywhere.
    """
    height, width = image.shape[:2]
    heat = cv2.resize(evidence.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    heat = (heat / max(float(evidence.max()), np.finfo(np.float32).tiny))[..., None]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    colours = 255 * _HEAT(heat[..., 0])[..., :3]
    opacity = OPACITY * heat
    return ((1 - opacity) * grey + opacity * colours).round().astype(np.uint8)


def _require_captum() -> None:
    if find_spec("captum") is None:
        raise ConfigError('Grad-CAM needs captum: pip install -e ".[inspect]"')


def _output_of(backbone: Any, stage: int | None) -> nn.Module:
    """The module whose output is a stage's."""
    names = getattr(backbone, "res_layers", None)
    if not names:
        raise ConfigError(
            f"expected a backbone of residual stages, found {type(backbone).__name__}"
        )
    last = max(index % len(names) for index in backbone.out_indices) + 1
    if stage is not None and not 1 <= stage <= last:
        raise ConfigError(f"expected a stage from 1 to {last}, found {stage}")
    index = (stage or last) - 1
    if isinstance(backbone, TicketBackbone):
        output = backbone.output_layer(index)  # pre-activation networks end in one
        if not isinstance(output, nn.Identity):
            return output
    return getattr(backbone, names[index])


def _chosen(
    dataset: Any, samples: Sequence[int] | None, seed: int, filename: str | None
) -> list[int]:
    total = len(dataset)
    if samples is not None:
        if wrong := [place for place in samples if not 0 <= place < total]:
            raise ConfigError(
                f"{filename}: expected samples from 0 to {total - 1}, as the test set has, "
                f"found {wrong[0]}"
            )
        return list(samples)
    places: dict[int, list[int]] = {}
    for place in range(total):
        label = dataset.get_data_info(place).get("gt_label")
        if label is None or np.ndim(label):
            raise ConfigError(
                f"{filename}: expected test images with one label each, found {label} at {place}"
            )
        places.setdefault(int(label), []).append(place)
    present = sorted(places)
    spread = np.linspace(0, len(present) - 1, min(MOST_CLASSES, len(present))).round().astype(int)
    generator = np.random.default_rng(seed)
    return [int(generator.choice(places[present[index]])) for index in spread]


def _enlarged(image: Picture) -> Picture:
    """Brought to the sheet's size; the pixels of a small image stay sharp squares."""
    height, width = image.shape[:2]
    factor = SIDE / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(image, size, interpolation=how), dtype=np.uint8)


def _legend(width: int, text: str) -> Picture:
    """A bar of the colours, and what they mean."""
    height, bar = 26, np.linspace(0, 1, 96, dtype=np.float32)[None]
    flat = np.full((height - 10, bar.shape[1], 3), 128, dtype=np.uint8)
    colours = np.pad(overlay(flat, bar), ((5, 5), (GAP, GAP), (0, 0)))
    colours[:5], colours[-5:] = BACKGROUND, BACKGROUND
    colours[:, :GAP], colours[:, -GAP:] = BACKGROUND, BACKGROUND
    words = f"{text}: from 0 to the largest value of each map; in brackets, places in the test set"
    return np.hstack((colours, draw_text(words, width - colours.shape[1], height, 13)))
