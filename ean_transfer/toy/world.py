"""The toy world's generator of scenes: discs on a mosaic, with a light and contrast per image.

The question about a disc is its *true* hue. Each image is developed with its own contrast, and half
of them, on average, as photographic negatives, in which a red disc looks cyan: a disc's pixels
alone leave two kinds to choose from. The evidence is everywhere and weak: the mosaic's patches are
somewhat brighter than mid-grey on average, so a negative is somewhat darker, but any few patches
may be of any brightness. To average over the whole image, and to flip what every place says about
its colour, is easy for channel weights from global context. It is hard to learn for convolutions,
whose evidence is local.

Pixel convention: a whole number is the centre of a pixel, points are (x, y). Images are BGR, as
mmcv loads them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, NamedTuple, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, model_validator

from ean_transfer.io.checked import Checked, Natural, Positive, Share, checked_arguments

FloatArray: TypeAlias = npt.NDArray[np.float32]

KINDS = ("red", "yellow", "green", "cyan", "blue", "magenta")
"""Names of the true hues, a sixth of the colour wheel apart; a disc's kind is its index here."""

Split: TypeAlias = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""Parts of the world. Each has random streams of its own; the search uses ``val``."""

_GREY = 0.5  # the brightness that a contrast leaves as it is
_PLACING_TRIES = 20  # attempts to place a disc before the image counts as full

_Number = TypeVar("_Number", int, float)


def _ordered(pair: tuple[_Number, _Number]) -> tuple[_Number, _Number]:
    if pair[0] > pair[1]:
        raise ValueError("expected (lowest, highest)")
    return pair


# Not strict, since pairs arrive as lists from a config that went through JSON.
Pair = Annotated[tuple[_Number, _Number], Field(strict=False), AfterValidator(_ordered)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Kind: TypeAlias = Annotated[int, Field(ge=0, lt=len(KINDS))]


class WorldSettings(Checked):
    """What scenes look like. Pairs are (lowest, highest), drawn uniformly; brightness is in [0, 1].

    Raises:
        ConfigError: A number is out of its range, or no disc fits into the image.
    """

    what = "toy world"

    size: int = 24  # pixels, height and width
    discs: Pair[Natural] = (1, 1)  # per image; fewer if it is full
    kinds: Annotated[tuple[Kind, ...], Field(strict=False, min_length=1)] = tuple(range(len(KINDS)))
    """Kinds that discs are drawn from, with equal probability."""
    radius: Pair[NotNegative] = (3.5, 5.0)  # pixels, without ring
    ring: NotNegative = 1.0  # pixels, width of the grey ring that marks a disc
    gap: NotNegative = 1.0  # pixels kept free between two rings
    disc_saturation: Pair[Share] = (0.6, 1.0)
    patches_per_pixel: NotNegative = 0.1  # mosaic patches per pixel of the image
    patch_side: Pair[Positive] = (3, 6)  # pixels
    patch_bias: float = 0.15  # how much brighter than grey patches are on average
    patch_spread: NotNegative = 0.4  # largest distance of a patch's brightness from that average
    patch_colour: float = 0.1  # largest distance of one of its channels from its brightness
    negatives: Share = 0.5  # share of images that are negatives
    contrast: Pair[Share] = (0.5, 1.0)  # factor on distance from grey
    log_gain: NotNegative = 0.1  # light: each channel times exp(U(-log_gain, log_gain))
    noise: NotNegative = 0.02  # standard deviation of the sensor's noise

    @model_validator(mode="after")
    def _discs_fit(self) -> WorldSettings:
        smallest_size = int(np.ceil(2 * (self.radius[1] + self.ring))) + 1
        if self.size < smallest_size:
            raise ValueError(
                f"size: expected {smallest_size} pixels or more for discs of radius "
                f"{self.radius[1]}, found {self.size}"
            )
        return self


class Scene(NamedTuple):
    """An image and what is true of it."""

    image: npt.NDArray[np.uint8]  # (H, W, 3), BGR, as it was developed
    label: int  # kind of the first disc; -1 without one
    label_map: npt.NDArray[np.uint8]  # (H, W): 0 mosaic and rings, 1 + kind on a disc
    points: FloatArray  # (N, 2), (x, y) of the discs' centres in pixels
    kinds: npt.NDArray[np.intp]  # (N,) kind of each disc
    contrast: float  # factor on the distance from grey; below 0 for a negative


def draw_scene(rng: np.random.Generator, settings: WorldSettings) -> Scene:
    """Draw one scene; all of its randomness comes from ``rng``."""
    surface = _mosaic(rng, settings)
    label_map = np.zeros(surface.shape[:2], dtype=np.uint8)
    rows, columns = _pixel_grid(settings.size)

    centres, radii = _place_discs(rng, settings)
    kinds = rng.choice(np.array(settings.kinds), len(centres))
    colours = _disc_colours(kinds, rng.uniform(*settings.disc_saturation, len(kinds)))
    for (x, y), radius, kind, colour in zip(centres, radii, kinds, colours, strict=True):
        distance = np.hypot(columns - x, rows - y)
        inside = distance <= radius
        # Grey is grey in a negative too: the ring says where the disc is, and no more.
        surface[distance <= radius + settings.ring] = _GREY
        surface[inside] = colour
        label_map[inside] = kind + 1

    sign = -1.0 if rng.random() < settings.negatives else 1.0
    contrast = sign * rng.uniform(*settings.contrast)
    gain = np.exp(rng.uniform(-settings.log_gain, settings.log_gain, 3))
    noise = rng.normal(0.0, settings.noise, surface.shape)
    pixels = gain * (_GREY + contrast * (surface - _GREY)) + noise
    return Scene(
        image=np.clip(np.rint(255.0 * pixels), 0, 255).astype(np.uint8),
        label=int(kinds[0]) if len(kinds) else -1,
        label_map=label_map,
        points=centres.astype(np.float32),
        kinds=kinds,
        contrast=float(contrast),
    )


@checked_arguments
def scene_rng(seed: Natural, split: Split, index: Natural) -> np.random.Generator:
    """The random stream of one scene: no other seed, split or index shares it.

    Raises:
        ConfigError: The split is unknown, or the seed or index negative.
    """
    return np.random.default_rng([seed, SPLITS.index(split), index])


# Arms of a study look at the same scenes: within a process they are drawn once for all of them.
@lru_cache(maxsize=8)
@checked_arguments
def draw_split(
    settings: WorldSettings, split: Split, length: Positive, seed: Natural = 0
) -> tuple[Scene, ...]:
    """The first ``length`` scenes of a split. They are shared: copy before changing any.

    Raises:
        ConfigError: The split is unknown, the length not positive or the seed negative.
    """
    return tuple(draw_scene(scene_rng(seed, split, index), settings) for index in range(length))


def _mosaic(rng: np.random.Generator, settings: WorldSettings) -> FloatArray:
    """The background (H, W, 3): overlapping rectangles, brighter than grey on average."""
    size = settings.size
    average = _GREY + settings.patch_bias
    count = round(settings.patches_per_pixel * size * size)
    colours = (
        average
        + rng.uniform(-settings.patch_spread, settings.patch_spread, (count, 1))
        + rng.uniform(-settings.patch_colour, settings.patch_colour, (count, 3))
    )
    low, high = settings.patch_side
    sides = rng.integers(low, high + 1, (count, 2))
    starts = rng.integers(0, size, (count, 2)) - sides // 2
    ends = starts + sides
    starts = np.maximum(starts, 0)  # a negative start would count from the image's other end
    surface = np.full((size, size, 3), average, dtype=np.float32)
    for colour, (top, left), (bottom, right) in zip(colours, starts, ends, strict=True):
        surface[top:bottom, left:right] = colour
    return surface


def _place_discs(
    rng: np.random.Generator, settings: WorldSettings
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centres (N, 2) and radii (N,) in pixels of discs whose rings do not touch."""
    low, high = settings.discs
    centres, radii = np.empty((0, 2)), np.empty(0)
    for _ in range(int(rng.integers(low, high + 1))):
        for _ in range(_PLACING_TRIES):
            radius = rng.uniform(*settings.radius)
            border = radius + settings.ring
            centre = rng.uniform(border, settings.size - 1 - border, 2)
            distances = np.hypot(*(centres - centre).T)
            if (distances > border + radii + settings.ring + settings.gap).all():
                centres, radii = np.vstack([centres, centre]), np.append(radii, radius)
                break
    return centres, radii


def _disc_colours(kinds: npt.NDArray[np.intp], saturation: npt.NDArray[np.floating]) -> FloatArray:
    """Colours (N, 3), BGR, of the kinds' hues, each of mid-grey brightness on average.

    So a disc's brightness does not tell a negative, and the complement of a kind's colour is the
    colour of the kind three steps on.
    """
    # HSV to RGB without cases, at value 1: channel n is 1 - s clip(min(k, 4 - k), 0, 1) with
    # k = (n + 6 h) mod 6 and n = 5, 3, 1 for red, green, blue; here 6 h is the kind.
    k = (np.array([1.0, 3.0, 5.0]) + kinds[:, None]) % 6.0
    colours = 1 - saturation[:, None] * np.clip(np.minimum(k, 4 - k), 0, 1)
    lowest, highest = 1 - saturation[:, None], 1.0
    colours = _GREY + 0.7 * (colours - (lowest + highest) / 2)
    return colours.astype(np.float32)


@lru_cache(maxsize=8)
def _pixel_grid(size: int) -> tuple[FloatArray, FloatArray]:
    """Row and column numbers of the pixels, (size, 1) and (1, size)."""
    numbers = np.arange(size, dtype=np.float32)
    return numbers[:, None], numbers[None, :]
