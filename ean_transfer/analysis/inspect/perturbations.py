"""What makes images harder to classify: noise inside the network, corruptions of the images."""

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

SMALL = 64  # pixels; up to this shorter side, images are corrupted like CIFAR's, not ImageNet's


@dataclass(frozen=True)
class Perturbation:
    """Base of perturbations, which make images harder to classify; this one changes nothing.

    Attributes:
        name: Name in tables and figures.
        unit: Unit of the strengths.
        strengths: Strengths from weak to strong; a level is an index into them.
        draws: Number of measurements per strength, each with a new draw of the network's noise.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    draws: int = field(default=1, kw_only=True)

    def images(
        self, images: Sequence[Tensor], level: int, seed: int, first: int = 0
    ) -> list[Tensor]:
        """Perturb images.

        Args:
            images: (3, H, W) uint8, in the order of channels in which the data set gives them.
            level: Index of the strength.
            seed: Seed of all draws.
            first: Number of the first image in the data set. An image's draw depends on its number,
                so it is the same in batches of any size.
        """
        return list(images)

    def within(
        self, model: nn.Module, level: int, seed: Sequence[int]
    ) -> AbstractContextManager[None]:
        """Context manager in which the network is perturbed; at the end it is as before.

        Args:
            model: The network.
            level: Index of the strength.
            seed: Seed of one draw, as whole numbers from 0.
        """
        return nullcontext()


@dataclass(frozen=True)
class ConstantNoise(Perturbation):
    """A constant added to each channel after every BatchNorm of the network.

    ``y = BN(x) + s gamma n``, with n drawn once per channel from N(0, 1) and the same for all
    images and positions. It moves BatchNorm's normalised values by s standard deviations, as does
    the constant noise under which Liang et al. 2020 ("Instance Enhancement Batch Normalization",
    arXiv 1908.04008) train. The factor gamma makes the scale of a channel irrelevant: a network
    whose BatchNorms are twice as large because attention halves them afterwards is disturbed just
    as much, and so is one whose attention was folded into them.

    n depends on the seed, the level and the layer's name alone, so it is the same for all networks
    of one backbone, whatever their tickets. BatchNorms inside attention modules are left alone. One
    draw is not enough: a network's accuracies under several draws differ by several points.
    """

    def within(
        self, model: nn.Module, level: int, seed: Sequence[int]
    ) -> AbstractContextManager[None]:
        return constant_noise(model, self.strengths[level], [*seed, level])


@dataclass(frozen=True)
class Corruption(Perturbation):
    """A corruption of the images by albumentations, at the size at which they enter the network.

    An image's draw is the same at all levels: the same noise, only stronger.

    Attributes:
        transform: Function from a strength to the transform, in the form that
            :func:`~ean_transfer.data.albumentations.build_augmentation` takes.
        bgr: Whether the images are BGR; the transforms expect RGB.
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
            # Seeded anew for each image, so that neither the batch size nor the level matters.
            augmentation.set_random_state(
                np.random.default_rng([seed, number]), random.Random(f"{seed} {number}")
            )
            rgb = image.flip(0) if self.bgr else image
            pixels = np.ascontiguousarray(rgb.permute(1, 2, 0).numpy())
            changed = np.ascontiguousarray(augmentation(image=pixels)["image"])
            channels_first = torch.from_numpy(changed).permute(2, 0, 1)
            corrupted.append((channels_first.flip(0) if self.bgr else channels_first).contiguous())
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


# Name, unit, transform, strengths of CIFAR-10-C, strengths of ImageNet-C.
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
# Pixelation: the share of the resolution that is kept, of CIFAR-10-C and of ImageNet-C.
_SCALES = ((0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25))


def corruptions(side: int, bgr: bool = False) -> list[Corruption]:
    """Corruptions in five strengths, after Hendrycks and Dietterich 2019 (arXiv 1903.12261).

    The strengths are those of CIFAR-10-C for images with a shorter side up to 64 pixels, and those
    of ImageNet-C for larger ones. The transforms are albumentations' and not theirs, so numbers do
    not compare with results on their files. Images stored as JPEG are compressed for the second
    time; they may lose less at a lower quality than at one close to their own.

    Args:
        side: Shorter side of the images, in pixels, as they enter the network.
        bgr: Whether the images are BGR instead of RGB.
    """
    is_large = side > SMALL
    # Factors that give whole pixels: with any other one OpenCV also shifts the image.
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
    """Add :class:`ConstantNoise` after every BatchNorm; at the end the network is as before.

    Args:
        model: The network in eval mode; its parameters and buffers are not touched.
        strength: s, in standard deviations.
        seed: Seed of the draw, as whole numbers from 0.

    Raises:
        ConfigError: The network has no BatchNorm outside of attention.
    """
    in_attention = {
        layer for part in model.modules() if isinstance(part, Attention) for layer in part.modules()
    }
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm) and layer not in in_attention
    }
    # Without this, a network without BatchNorm would look perfectly robust.
    if not layers:
        raise ConfigError(
            f"expected a network with BatchNorms to add noise after, found none in the "
            f"{type(model).__name__}"
        )
    hooks = []
    try:
        for name, layer in layers.items():
            # Not hash(), which differs from process to process.
            generator = np.random.default_rng([*seed, zlib.crc32(name.encode())])
            noise = torch.as_tensor(strength * generator.standard_normal(layer.num_features))
            hooks.append(layer.register_forward_pre_hook(partial(_shift, noise=noise)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _shift(layer: Any, inputs: tuple[Tensor, ...], noise: Tensor) -> tuple[Tensor]:
    """The input whose normalised values are moved by the noise.

    The output comes too late: attached attention, or the activation of timm's BatchNormAct2d, has
    already acted on it.
    """
    (x,) = inputs
    moved = noise.to(x) * (layer.running_var + layer.eps).sqrt()
    return (x + moved.to(x.dtype).reshape(-1, *[1] * (x.dim() - 2)),)
