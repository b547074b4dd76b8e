"""The facts of a folder's images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ean_transfer.data.folder_report import ImageFacts, ImageSurvey


def test_mean_and_spread_are_those_of_all_pixels(tmp_path: Path) -> None:
    draws = np.random.RandomState(0)
    images = [draws.randint(0, 256, (h, w, 3)).astype(np.uint8) for h, w in ((8, 5), (3, 40))]
    images[0][..., 0] //= 4  # blue
    survey = ImageSurvey(tmp_path)
    for number, image in enumerate(images):
        file = tmp_path / f"{number}.png"
        cv2.imwrite(str(file), image)
        survey.read(file)
    pixels = np.concatenate([image.reshape(-1, 3) for image in images])[:, ::-1]
    facts = survey.facts()
    assert facts.mean == pytest.approx(pixels.mean(axis=0), abs=0.01)
    assert facts.spread == pytest.approx(pixels.std(axis=0), abs=0.01)


def test_no_image_has_no_mean(tmp_path: Path) -> None:
    assert ImageSurvey(tmp_path).facts() == ImageFacts()
