"""One synthetic world: ringed discs on a mosaic, under a light of the image's own.

What is asked about a disc is its *true* hue. The light multiplies each colour channel by a gain
that is drawn anew for every image and is strong enough to turn a red disc green, so a disc's pixels
alone do not tell. The evidence of the light is everywhere: the mosaic's pale patches go evenly
round the colour wheel, so that without a light they would be grey on average (the grey-world
assumption of colour constancy; Buchsbaum 1980). To divide by what is global is what a channel
attention can do and a plain convolution finds hard.

Pixel convention: a whole number is the centre of a pixel, points are (x, y). Images are BGR, as
mmcv loads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ean_transfer.errors import ConfigError

FloatArray: TypeAlias = npt.NDArray[np.float32]

KINDS = ("red", "yellow", "green", "cyan", "blue", "magenta")
"""Names of the true hues, a sixth of the colour wheel apart; a disc's kind is its index here."""

SPLITS = ("train", "val", "test")
"""Parts of the world. Each has random streams of its own; the search uses ``val``."""

_PLACING_TRIES = 20  # draws of a place for a disc before the image is held to be full


@dataclass(frozen=True)
class WorldSettings:
    """What scenes look like. Pairs are (lowest, highest), drawn uniformly.

    Colours are given as hue, saturation and value, each in [0, 1], of a reflectance under white
    light.

    Raises:
        ConfigError: If a number is out of its range, or no disc fits into the image.
    """

    size: int = 24  # pixels, height and width
    discs: tuple[int, int] = (1, 1)  # discs an image; fewer where they find no place
    target_share: float | None = None  # probability of kind 0; None: all kinds alike
    radius: tuple[float, float] = (5.0, 6.5)  # pixels, without the ring
    ring: float = 1.0  # pixels, width of the black ring that marks a disc
    gap: float = 1.0  # pixels kept free between two rings
    disc_saturation: tuple[float, float] = (0.4, 0.6)
    disc_hue_spread: float = 0.2  # a disc's hue leaves its kind's by up to this part of a sixth
    patches_per_pixel: float = 0.1  # mosaic patches a pixel of the image
    patch_side: tuple[int, int] = (3, 9)  # pixels
    patch_saturation: tuple[float, float] = (0.3, 0.6)
    value: tuple[float, float] = (0.6, 1.0)  # of discs and patches
    log_gain: float = 1.5  # light: each channel times exp(s U(-log_gain, log_gain)), s is U(0, 1)
    contrast: tuple[float, float] = (0.7, 1.0)  # factor on all channels alike
    exposure: float = 0.5  # brightness of a white surface at gain and contrast 1
    noise: float = 0.01  # standard deviation of the sensor's noise, white = 1

    def __post_init__(self) -> None:
        for name in ("discs", "radius", "patch_side", *_FRACTIONS):
            pair = getattr(self, name)
            if not (isinstance(pair, tuple) and len(pair) == 2 and 0 <= pair[0] <= pair[1]):
                raise ConfigError(
                    f"toy world: expected {name} as (lowest, highest), 0 or more, found {pair!r}"
                )
        for name in _FRACTIONS:
            if getattr(self, name)[1] > 1:
                raise ConfigError(
                    f"toy world: expected {name} of at most 1, found {getattr(self, name)[1]}"
                )
        for name in ("ring", "gap", "patches_per_pixel", "log_gain", "noise"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    f"toy world: expected {name} of 0 or more, found {getattr(self, name)}"
                )
        if self.exposure <= 0:
            raise ConfigError(f"toy world: expected an exposure above 0, found {self.exposure}")
        if not 0 <= self.disc_hue_spread < 0.5:
            raise ConfigError(
                "toy world: expected disc_hue_spread in [0, 0.5), where kinds do not overlap, "
                f"found {self.disc_hue_spread}"
            )
        if self.target_share is not None and not 0 <= self.target_share <= 1:
            raise ConfigError(
                f"toy world: expected target_share in [0, 1], found {self.target_share}"
            )
        if self.patch_side[0] < 1:
            raise ConfigError(
                f"toy world: expected patch_side of 1 pixel or more, found {self.patch_side[0]}"
            )
        smallest_size = int(np.ceil(2 * (self.radius[1] + self.ring))) + 1
        if self.size < smallest_size:
            raise ConfigError(
                f"toy world: expected size of {smallest_size} pixels or more for discs of radius "
                f"{self.radius[1]}, found {self.size}"
            )


_FRACTIONS = ("disc_saturation", "patch_saturation", "value", "contrast")


class Scene(NamedTuple):
    """An image and what is true of it."""

    image: npt.NDArray[np.uint8]  # (H, W, 3), BGR, under the light
    label: int  # kind of the first disc; -1 without one
    label_map: npt.NDArray[np.uint8]  # (H, W): 0 mosaic and rings, 1 + kind on a disc
    points: FloatArray  # (N, 2), (x, y) of the discs' centres in pixels
    kinds: npt.NDArray[np.intp]  # (N,) kind of each disc
    light: FloatArray  # (3,) factor on each channel, BGR: gain times contrast


def draw_scene(rng: np.random.Generator, settings: WorldSettings) -> Scene:
    """Draw one scene; nothing but ``rng`` is random in it."""
    reflectance = _mosaic(rng, settings)
    label_map = np.zeros(reflectance.shape[:2], dtype=np.uint8)
    rows, columns = _pixel_grid(settings.size)

    centres, radii = _place_discs(rng, settings)
    kinds = _draw_kinds(rng, settings, len(centres))
    spread = rng.uniform(-1, 1, len(kinds)) * settings.disc_hue_spread
    colours = _bgr(
        (kinds + spread) / len(KINDS) % 1.0,
        rng.uniform(*settings.disc_saturation, len(kinds)),
        rng.uniform(*settings.value, len(kinds)),
    )
    for (x, y), radius, kind, colour in zip(centres, radii, kinds, colours, strict=True):
        distance = np.hypot(columns - x, rows - y)
        inside = distance <= radius
        # Black stays black under any light: the ring says where the disc is, and no more.
        reflectance[distance <= radius + settings.ring] = 0.0
        reflectance[inside] = colour
        label_map[inside] = kind + 1

    # The light's strength differs too: from the images under an almost white light a network finds
    # the discs and their hues within an epoch, and all of its budget is not a plateau.
    strength = rng.random()
    gain = np.exp(strength * rng.uniform(-settings.log_gain, settings.log_gain, 3))
    light = (gain * rng.uniform(*settings.contrast)).astype(np.float32)
    noise = rng.normal(0.0, settings.noise, reflectance.shape)
    pixels = 255.0 * (settings.exposure * light * reflectance + noise)
    return Scene(
        image=np.clip(np.rint(pixels), 0, 255).astype(np.uint8),
        label=int(kinds[0]) if len(kinds) else -1,
        label_map=label_map,
        points=centres.astype(np.float32),
        kinds=kinds,
        light=light,
    )


def scene_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The random stream of one scene: no other seed, split or index shares it.

    Raises:
        ConfigError: If the split is unknown, or the seed or index negative.
    """
    if split not in SPLITS:
        expected = ", ".join(f'"{name}"' for name in SPLITS)
        raise ConfigError(f"toy world: expected split as one of {expected}, found {split!r}")
    if seed < 0 or index < 0:
        raise ConfigError(
            f"toy world: expected seed and index of 0 or more, found {seed} and {index}"
        )
    return np.random.default_rng([seed, SPLITS.index(split), index])


# Arms of a study look at the same scenes: within a process they are drawn once for all of them.
@lru_cache(maxsize=8)
def draw_split(
    settings: WorldSettings, split: str, length: int, seed: int = 0
) -> tuple[Scene, ...]:
    """The first ``length`` scenes of a split. They are shared: copy before changing any.

    Raises:
        ConfigError: As :func:`scene_rng`, or if ``length`` is not positive.
    """
    if length < 1:
        raise ConfigError(f"toy world: expected length of 1 scene or more, found {length}")
    return tuple(draw_scene(scene_rng(seed, split, index), settings) for index in range(length))


def _mosaic(rng: np.random.Generator, settings: WorldSettings) -> FloatArray:
    """Reflectance (H, W, 3) of overlapping rectangles whose hues go evenly round the wheel."""
    size = settings.size
    count = round(settings.patches_per_pixel * size * size)
    # One hue from each of `count` equal parts of the wheel, so that the mosaic is grey on average.
    hues = rng.permutation((np.arange(count) + rng.random(count)) / max(count, 1))
    colours = _bgr(
        hues,
        rng.uniform(*settings.patch_saturation, count),
        rng.uniform(*settings.value, count),
    )
    reflectance = np.full((size, size, 3), np.mean(settings.value), dtype=np.float32)
    for colour, (top, left, bottom, right) in zip(
        colours, _draw_rectangles(rng, settings, count), strict=True
    ):
        reflectance[top:bottom, left:right] = colour
    return reflectance


def _draw_rectangles(
    rng: np.random.Generator, settings: WorldSettings, count: int
) -> Iterator[tuple[int, int, int, int]]:
    """(top, left, bottom, right) in pixels of rectangles centred anywhere in the image."""
    low, high = settings.patch_side
    sides = rng.integers(low, high + 1, (count, 2))
    starts = rng.integers(0, settings.size, (count, 2)) - sides // 2
    # A negative start would count from the image's other end.
    corners = np.hstack([np.maximum(starts, 0), starts + sides])
    return (tuple(corner) for corner in corners.tolist())


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


def _draw_kinds(
    rng: np.random.Generator, settings: WorldSettings, count: int
) -> npt.NDArray[np.intp]:
    """Kinds (count,), kind 0 with its share and the others alike."""
    if settings.target_share is None:
        return rng.integers(0, len(KINDS), count)
    others = rng.integers(1, len(KINDS), count)
    return np.where(rng.random(count) < settings.target_share, 0, others)


def _bgr(
    hue: npt.NDArray[np.floating],
    saturation: npt.NDArray[np.floating],
    value: npt.NDArray[np.floating],
) -> FloatArray:
    """Colours (N, 3), BGR in [0, 1], of hue, saturation and value (N,) in [0, 1] each."""
    # The formula of HSV to RGB without cases: channel n is v (1 - s clip(min(k, 4 - k), 0, 1)) at
    # k = (n + 6 h) mod 6, with n = 5, 3, 1 for red, green, blue.
    k = (np.array([1.0, 3.0, 5.0]) + 6.0 * hue[:, None]) % 6.0
    colours = value[:, None] * (1 - saturation[:, None] * np.clip(np.minimum(k, 4 - k), 0, 1))
    return colours.astype(np.float32)


@lru_cache(maxsize=8)
def _pixel_grid(size: int) -> tuple[FloatArray, FloatArray]:
    """Row and column numbers of the pixels, (size, 1) and (1, size)."""
    numbers = np.arange(size, dtype=np.float32)
    return numbers[:, None], numbers[None, :]
