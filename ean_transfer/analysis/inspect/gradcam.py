"""Where networks look: Grad-CAM of several networks on the same test images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from matplotlib import colormaps
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from ean_transfer.analysis.inspect.samples import batch_labels, class_labels, require_samples
from ean_transfer.attachment.network import evaluating
from ean_transfer.backbones import TicketBackbone
from ean_transfer.data.config import dataset_config, gives_rgb
from ean_transfer.engine.config import model_class
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.engine.inference import load_trained
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import checked_arguments
from ean_transfer.visualization.picture import Picture, fit_picture
from ean_transfer.visualization.sheet import GAP, LINE, Cell, draw_sheet, evenly_spread
from ean_transfer.visualization.text import BACKGROUND, draw_text

Target = Literal["true", "predicted"]
"""The class that a map explains."""

SIDE = 192  # pixels: the longer side of a picture in the sheet
MAX_CLASSES = 10  # classes shown by default, with one image per class
OPACITY = 0.75  # of the colours where a map is largest; where it is 0 they are invisible
_HEAT = colormaps["inferno"]


@dataclass(frozen=True)
class Explained:
    """One network's prediction for one image, and the evidence for a class in it.

    Attributes:
        predicted: Index of the class with the largest probability.
        probability: Probability of the predicted class, in [0, 1].
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
        model: The classifier; its mode is restored, and its parameters get no gradients.
        inputs: (N, 3, H, W), preprocessed.
        targets: (N,), the class to explain on each image.
        stage: Stage of the backbone, from 1; by default the last one that the head sees.

    Returns:
        (N, h, w), at the resolution of the stage's output.

    Raises:
        ConfigError: captum is not installed, or the backbone has no such stage, or none at all.
    """
    try:
        from captum.attr import LayerGradCam
    except ImportError as error:
        raise ConfigError('Grad-CAM needs captum: pip install -e ".[inspect]"') from error
    layer = _output_of(model.backbone, stage)
    # The images require a gradient so that there is one even where all layers are frozen.
    images = inputs.detach().requires_grad_()
    with evaluating(model), torch.enable_grad():
        maps = LayerGradCam(model, layer).attribute(images, target=targets, relu_attributions=True)
    return maps.detach()[:, 0]


@checked_arguments
def explain(
    model: ImageClassifier, batch: dict[str, Any], target: Target = "true", stage: int | None = None
) -> list[Explained]:
    """Predictions and Grad-CAM maps.

    Args:
        model: The classifier.
        batch: Packed images with labels, as a data loader gives them. Of images of several sizes
            the maps, and the pooling before the head, also cover what smaller ones are padded with.
        target: The class to explain.
        stage: See :func:`grad_cam`.

    Raises:
        ConfigError: There is no such target, an image has not exactly one label, and as
            :func:`grad_cam`.
    """
    true = batch_labels(batch)
    data: Any = model.data_preprocessor(dict(batch))
    inputs = data["inputs"]
    with evaluating(model), torch.no_grad():
        probabilities = model(inputs).softmax(dim=1)
    probability, predicted = probabilities.max(dim=1)
    targets = true.to(predicted.device) if target == "true" else predicted
    maps = grad_cam(model, inputs, targets, stage).cpu().numpy()
    of_target = probabilities.gather(1, targets[:, None])[:, 0]
    columns = (predicted.tolist(), probability.tolist(), of_target.tolist(), maps)
    return [Explained(*values) for values in zip(*columns, strict=True)]


def gradcam_sheet(
    cfg: Config,
    checkpoints: Mapping[str, str | os.PathLike[str]],
    samples: Sequence[int] | None = None,
    *,
    stage: int | None = None,
    target: Target = "true",
    seed: int = 0,
    device: str | None = None,
    with_images: bool = True,
) -> tuple[Picture, dict[str, Any]]:
    """Draw one row per test image: image | Grad-CAM of each network, with its prediction.

    Each map is scaled to its own largest value, so colours say where a network looks, and not how
    much more than another.

    Args:
        cfg: The config of the networks; one network at a time is in memory.
        checkpoints: Name -> checkpoint, whose ticket the backbone is built with.
        samples: Places in the test set, from 0; by default one image per class, drawn at random,
            of at most ten classes, evenly spread.
        stage: See :func:`grad_cam`.
        target: The class to explain.
        seed: Seed of the draw of samples.
        device: Device to compute on; by default an accelerator, if there is one.
        with_images: Whether to show the images; if not, the maps stand alone on black.

    Returns:
        The sheet, and all numbers: predictions, probabilities and maps.

    Raises:
        ConfigError: The config is not of classification, its test set has no such sample, there is
            no such stage, or captum is not installed.
        DataError: The test set is missing, or one of its images cannot be read.
        CheckpointError, TicketError: A checkpoint cannot be read or is of another network.
    """
    model_class(cfg, ImageClassifier)
    with config_errors(cfg):
        dataset: Any = DATASETS.build(dataset_config(cfg))
    if samples is None:
        samples = _one_per_class(dataset, seed)
    require_samples(samples, dataset, cfg)
    # One by one, so that images of several sizes are not padded.
    batches: list[Any] = [pseudo_collate([dataset[place]]) for place in samples]
    explained = {}
    for name, checkpoint in checkpoints.items():
        model = load_trained(cfg, checkpoint, ImageClassifier, device=device)
        explained[name] = [explain(model, batch, target, stage)[0] for batch in batches]
    classes = dataset.metainfo.get("classes")
    channels = slice(None, None, 1 if gives_rgb(cfg) else -1)

    def class_name(index: int) -> str:
        return str(classes[index]) if classes else f"class {index}"

    rows, numbers = [], []
    for row, (place, batch) in enumerate(zip(samples, batches, strict=True)):
        label = int(batch_labels(batch))
        image = batch["inputs"][0].numpy()[channels].transpose(1, 2, 0)
        shown = fit_picture(np.ascontiguousarray(image), SIDE)
        if not with_images:
            shown = np.zeros_like(shown)
        cells = [Cell(shown, f"{class_name(label)} ({place})")]
        networks = {}
        for name, several in explained.items():
            one = several[row]
            mark = "" if one.predicted == label else "wrong: "
            caption = f"{mark}{class_name(one.predicted)} {one.probability:.0%}"
            cells.append(Cell(overlay(shown, one.map), caption))
            networks[name] = {
                "predicted": class_name(one.predicted),
                "probability": one.probability,
                "probability_of_target": one.of_target,
                "map": one.map.tolist(),
            }
        rows.append(cells)
        numbers.append({"sample": place, "label": class_name(label), "networks": networks})
    sheet = draw_sheet(rows, ["image", *checkpoints])
    legend = _legend(sheet.shape[1], f"Grad-CAM of the {target} class")
    return np.vstack((sheet, legend)), {"target": target, "stage": stage, "images": numbers}


def overlay(image: Picture, evidence: np.ndarray) -> Picture:
    """A map's colours over the image in grey, denser where the map's value is larger.

    Args:
        image: The image.
        evidence: (h, w), not negative; enlarged bilinearly and scaled to its largest value.

    Returns:
        A picture of the image's size; the grey image where the map is 0 everywhere.
    """
    height, width = image.shape[:2]
    heat = cv2.resize(evidence.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    heat = (heat / max(float(evidence.max()), np.finfo(np.float32).tiny))[..., None]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    colours = 255 * _HEAT(heat[..., 0])[..., :3]
    opacity = OPACITY * heat
    return ((1 - opacity) * grey + opacity * colours).round().astype(np.uint8)


def _output_of(backbone: Any, stage: int | None) -> nn.Module:
    """The module whose output is that of a stage."""
    names = getattr(backbone, "res_layers", [])
    if not names:
        raise ConfigError(
            "expected a backbone of residual stages, such as TicketResNet or mmpretrain's ResNet, "
            f"found {type(backbone).__name__}, whose stages are not known"
        )
    last = max(index % len(names) for index in backbone.out_indices) + 1
    wanted = last if stage is None else stage
    if not 1 <= wanted <= last:
        raise ConfigError(
            f"expected a stage of {type(backbone).__name__} that the head sees, from 1 to {last}, "
            f"found stage {stage}"
        )
    index = wanted - 1
    if isinstance(backbone, TicketBackbone):
        # Pre-activation networks end in a normalisation, which is part of the last stage's output.
        output = backbone.output_layer(index)
        if not isinstance(output, nn.Identity):
            return output
    return getattr(backbone, names[index])


def _one_per_class(dataset: Any, seed: int) -> list[int]:
    """One place in the data set per class, drawn at random; of many classes some, evenly spread."""
    labels = class_labels(dataset.get_data_info(i).get("gt_label") for i in range(len(dataset)))
    places: dict[int, list[int]] = {label: [] for label in sorted(labels)}
    for place, label in enumerate(labels):
        places[label].append(place)
    classes = list(places)
    generator = np.random.default_rng(seed)
    return [
        int(generator.choice(places[classes[index]]))
        for index in evenly_spread(min(MAX_CLASSES, len(classes)), len(classes))
    ]


def _legend(width: int, text: str) -> Picture:
    """A bar of the maps' colours, and the meaning of both ends."""
    border = 5
    grey = np.full((LINE - 2 * border, 96, 3), 128, dtype=np.uint8)
    scale = overlay(grey, np.linspace(0, 1, grey.shape[1], dtype=np.float32)[None])
    bar = np.full((LINE, grey.shape[1] + 2 * GAP, 3), BACKGROUND, dtype=np.uint8)
    bar[border:-border, GAP:-GAP] = scale
    words = f"{text}: from 0 to the largest value of each map; in brackets, places in the test set"
    meaning = draw_text(words, max(0, width - bar.shape[1]), LINE, 13)
    return np.hstack((bar, meaning))[:, :width]  # a sheet of slim images is narrower than the bar
