"""What makes images harder to classify: noise within the network, corruptions of the image."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer.attention import Attention
from ean_transfer.data.albumentations import build_augmentation
from ean_transfer.errors import ConfigError

SMALL = 64  # pixels: up to this shorter side, images are corrupted like CIFAR's, not ImageNet's


@dataclass(frozen=True)
class Perturbation:
    """Something that makes images harder to classify; this one is nothing at all.

    Attributes:
        name: What it is.
        unit: What its strengths are.
        strengths: From weak to strong; a level is a place among them.
        draws: How many times to measure each strength, with another draw for the network.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    draws: int = field(default=1, kw_only=True)

    def images(
        self, images: Sequence[Tensor], level: int, seed: int, first: int = 0
    ) -> list[Tensor]:
        """What becomes of images.

        Args:
            images: (3, H, W) uint8, BGR.
            level: How strong.
            seed: Of all draws.
            first: Number of the first image; what is drawn for an image depends on its number and
                not on its batch.
        """
        return list(images)

    def within(
        self, model: nn.Module, level: int, seed: Sequence[int]
    ) -> AbstractContextManager[None]:
        """What becomes of the network.

        Args:
            model: The network, which is left as it was.
            level: How strong.
            seed: Of one draw, numbers from 0.
        """
        return nullcontext()


@dataclass(frozen=True)
class ConstantNoise(Perturbation):
    """A constant added to each channel after every BatchNorm of the network.

    ``y = BN(x) + s gamma n``, n drawn once for each channel from N(0, 1) and the same for all
    images and positions. It moves BatchNorm's normalised values by s standard deviations, as does
    the constant noise under which Liang et al. 2020 ("Instance Enhancement Batch Normalization",
    arXiv 1908.04008) train. With gamma the scale of a channel does not matter: a network whose
    BatchNorms are twice as large because attention halves them afterwards is disturbed alike, and
    so is one whose attention was folded into them.

    n is drawn by the seed, the level and the layer's name, so it is the same for all networks of
    one backbone, whatever their tickets. BatchNorms within attention modules are left alone. One
    draw says little: accuracies of one network under several differ by several points.
    """

    def within(
        self, model: nn.Module, level: int, seed: Sequence[int]
    ) -> AbstractContextManager[None]:
        return constant_noise(model, self.strengths[level], [*seed, level])


@dataclass(frozen=True)
class Corruption(Perturbation):
    """A corruption of the images by albumentations, as they enter the network.

    An image's draw is the same at all levels: the same noise, only stronger.

    Attributes:
        transform: A strength -> the transform, as for
            :func:`~ean_transfer.data.albumentations.build_augmentation`.
        bgr: Whether the images have their channels in this order; the transforms expect RGB.
    """

    transform: Callable[[float], dict[str, Any]]
    bgr: bool = False

    def images(
        self, images: Sequence[Tensor], level: int, seed: int, first: int = 0
    ) -> list[Tensor]:
        transform = {**self.transform(self.strengths[level]), "p": 1.0}
        augmentation = build_augmentation(transform, self.name)
        corrupted = []
        for number, image in enumerate(images, start=first):
            augmentation.set_random_state(
                np.random.default_rng([seed, number]), random.Random(f"{seed} {number}")
            )
            rgb = image.flip(0) if self.bgr else image
            pixels = np.ascontiguousarray(rgb.permute(1, 2, 0).numpy())
            found = torch.from_numpy(np.ascontiguousarray(augmentation(image=pixels)["image"]))
            found = found.permute(2, 0, 1)
            corrupted.append((found.flip(0) if self.bgr else found).contiguous())
        return corrupted


CLEAN = Perturbation("clean", "", (0.0,))
NOISE = ConstantNoise(
    "constant noise after BatchNorm", "standard deviations", (0.05, 0.1, 0.15, 0.2, 0.3), draws=5
)


def _blur(sigma: float) -> dict[str, Any]:
    return dict(type="GaussianBlur", sigma_limit=(sigma, sigma), blur_limit=0)


def _brighter(added: float) -> dict[str, Any]:
    limits = dict(brightness_limit=(added, added), contrast_limit=(0.0, 0.0))
    return dict(type="RandomBrightnessContrast", **limits)


def _contrast(factor: float) -> dict[str, Any]:
    others = dict(brightness=(1.0, 1.0), saturation=(1.0, 1.0), hue=(0.0, 0.0))
    return dict(type="ColorJitter", contrast=(factor, factor), **others)


def _pixelated(scale: float) -> dict[str, Any]:
    how = {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_NEAREST_EXACT}
    return dict(type="Downscale", scale_range=(scale, scale), interpolation_pair=how)


# Name, unit, transform, strengths of CIFAR-10-C and of ImageNet-C.
_CORRUPTIONS: tuple[
    tuple[str, str, Callable[[float], dict[str, Any]], tuple[float, ...], tuple[float, ...]], ...
] = (
    (
        "Gaussian noise",
        "standard deviation, share of the range",
        lambda sigma: dict(type="GaussNoise", std_range=(sigma, sigma)),
        (0.04, 0.06, 0.08, 0.09, 0.1),
        (0.08, 0.12, 0.18, 0.26, 0.38),
    ),
    ("Gaussian blur", "sigma, pixels", _blur, (0.4, 0.6, 0.7, 0.8, 1), (1, 2, 3, 4, 6)),
    (
        "brightness",
        "added, share of the range",
        _brighter,
        (0.05, 0.1, 0.15, 0.2, 0.3),
        (0.1, 0.2, 0.3, 0.4, 0.5),
    ),
    ("contrast", "factor", _contrast, (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
    (
        "JPEG compression",
        "quality",
        lambda quality: dict(type="ImageCompression", quality_range=(int(quality),) * 2),
        (80, 65, 58, 50, 40),
        (25, 18, 15, 10, 7),
    ),
)
_SCALES = ((0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25))  # of pixelation


def corruptions(side: int, bgr: bool = False) -> list[Corruption]:
    """Corruptions in five strengths, after Hendrycks and Dietterich 2019 (arXiv 1903.12261).

    The strengths are those of CIFAR-10-C for images of a shorter side up to 64 pixels, and of
    ImageNet-C for larger ones. The transforms are albumentations' and not theirs: the numbers do
    not compare with results on their files. Images that are stored as JPEG are compressed for the
    second time, and may lose less at a lower quality than at one nearer to their own.

    Args:
        side: The images' shorter side in pixels, as they enter the network.
        bgr: Whether their channels are in this order, and not RGB.
    """
    is_large = side > SMALL
    # To whole pixels: by any other factor OpenCV also shifts the image.
    scales = tuple(int(scale * side) / side for scale in _SCALES[is_large])
    return [
        *(
            Corruption(name, unit, large if is_large else small, transform, bgr=bgr)
            for name, unit, transform, small, large in _CORRUPTIONS
        ),
        Corruption("pixelation", "resolution kept", scales, _pixelated, bgr=bgr),
    ]


@contextmanager
def constant_noise(model: nn.Module, strength: float, seed: Sequence[int]) -> Iterator[None]:
    """Within: constants are added after every BatchNorm, see :class:`ConstantNoise`.

    Args:
        model: The network; its parameters and buffers stay as they are.
        strength: s, in standard deviations.
        seed: Of the draw, numbers from 0.

    Raises:
        ConfigError: If the network has no BatchNorm outside of attention.
    """
    of_attention = {
        layer for part in model.modules() if isinstance(part, Attention) for layer in part.modules()
    }
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm) and layer not in of_attention
    }
    if not layers:
        raise ConfigError(
            f"noise is added after BatchNorms: the {type(model).__name__} has none of them"
        )
    hooks = []
    try:
        for name, layer in layers.items():
            generator = np.random.default_rng([*seed, zlib.crc32(name.encode())])
            noise = torch.as_tensor(strength * generator.standard_normal(layer.num_features))
            hooks.append(layer.register_forward_hook(partial(_add, noise=noise)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _add(layer: _BatchNorm, inputs: Any, output: Tensor, noise: Tensor) -> Tensor:
    noise = noise.to(output)  # its device and dtype
    if layer.weight is not None:
        noise = noise * layer.weight
    return output + noise.reshape(-1, *[1] * (output.dim() - 2))
