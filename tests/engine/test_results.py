"""What every task's prediction is drawn with."""

from __future__ import annotations

import numpy as np

from ean_transfer.classification.inference import ClassScores


def test_the_text_below_a_photograph_grows_with_it() -> None:
    scores = ClassScores(("cat", "dog"), np.array([0.9, 0.1], dtype=np.float32))
    drawn = {side: scores.draw(np.zeros((side, side, 3), np.uint8)) for side in (320, 800, 3200)}
    assert {side: len(picture) - side for side, picture in drawn.items()} == {
        320: 26,
        800: 26,
        3200: 104,
    }
    slim = scores.draw(np.zeros((3200, 320, 3), np.uint8))
    assert slim.shape == (3226, 320, 3)
