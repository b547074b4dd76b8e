"""Classifying your own images with a trained network: the scores of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mmpretrain.models import ImageClassifier
from pydantic import SkipValidation

from ean_transfer.engine.inference import Predictor, Setting
from ean_transfer.engine.results import Judgement, Prediction
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.visualization.picture import Picture


@dataclass(frozen=True)
class ClassScores(Prediction):
    """The score of each class for one image.

    Attributes:
        classes: Name of each class.
        scores: (classes,) float32; of a softmax head they are probabilities.
        shown: Number of classes in texts and tables.
    """

    files = {"picture": ".png"}

    classes: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    shown: int = 5

    @property
    def best(self) -> str:
        """The class with the highest score."""
        return self.classes[int(self.scores.argmax())]

    def top(self, number: int | None = None) -> list[tuple[str, float]]:
        """The classes with the highest scores, best first.

        Args:
            number: Number of classes; by default as many as are shown.
        """
        order = np.argsort(-self.scores, kind="stable")[: number or self.shown]
        return [(self.classes[index], float(self.scores[index])) for index in order]

    def text(self) -> str:
        """The best classes, at most three."""
        return ", ".join(f"{name} {score:.0%}" for name, score in self.top(min(3, self.shown)))

    def entries(self) -> dict[str, Any]:
        top = [{"class": name, "score": round(score, 6)} for name, score in self.top()]
        return {**top[0], "top": top}

    def overlay(self, image: Picture) -> Picture:
        return image


class Classifier(Predictor[ClassScores]):
    """A trained classifier that takes image files or arrays.

    Classes without known names are called by their numbers.

    Args:
        model: See :class:`~ean_transfer.engine.inference.Predictor`.
        setting: The same.
        top: Number of classes in texts and tables.

    Raises:
        ConfigError: ``top`` is not positive.
    """

    kind = ImageClassifier
    result = ClassScores
    options = ("top",)
    table = "classes.json"
    done = "classified; pictures and classes.json"

    @checked_arguments
    def __init__(self, model: Any, setting: SkipValidation[Setting], top: Positive = 5) -> None:
        super().__init__(model, setting)
        self.top = top

    def read(self, sample: Any) -> ClassScores:
        scores = sample.pred_score.float().cpu().numpy()
        names = self.setting.classes
        if len(names) != len(scores):  # names of another data set would be wrong ones
            names = tuple(map(str, range(len(scores))))
        return ClassScores(names, scores, self.top)

    def judge(self, sample: Any) -> Judgement | None:
        """By the score that the true class lacks."""
        truth = sample.get("gt_label")
        if truth is None or truth.numel() != 1:
            return None
        predicted, label = self.read(sample), int(truth)
        score = float(predicted.scores[label])
        text = f"{predicted.classes[label]} {score:.0%}"
        if predicted.best != predicted.classes[label]:
            text += f", seen as {predicted.best} {predicted.scores.max():.0%}"
        return Judgement(1 - score, text)

    def draw_judged(self, sample: Any, image: Picture) -> Picture:
        """The image alone: both classes are in the text."""
        return image
