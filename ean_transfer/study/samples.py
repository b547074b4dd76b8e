"""Pictures of a trained model's predictions on a few test images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner

from ean_transfer.crowd_counting import CountingDataSample
from ean_transfer.crowd_counting.visualizer import draw_sample, unpacked_rgb
from ean_transfer.visualization.labels import draw_legend, draw_segmentation
from ean_transfer.visualization.picture import write_picture
from ean_transfer.visualization.sheet import evenly_spread

LEGEND_WIDTH = 640  # pixels


@torch.no_grad()
def draw_samples(runner: Runner, folder: Path, count: int = 3) -> list[Path]:
    """Draw a model's predictions on some test images, evenly spread.

    Segmentation gives ``<i>_prediction.png``, ``<i>_truth.png`` (if there is one) and one
    ``legend.png``; counting gives ``<i>_prediction.png``, the predicted density over the image with
    both counts. Other tasks give nothing.

    Args:
        runner: A runner that has tested, so that its test data loader is built.
        folder: Folder for the pictures; made if there is none.
        count: Number of images.

    Returns:
        The files written.
    """
    dataset = runner.test_dataloader.dataset
    runner.model.eval()
    written: list[Path] = []
    for index in evenly_spread(min(count, len(dataset)), len(dataset)):
        sample = dataset[index]
        image = unpacked_rgb(sample["inputs"])
        (prediction,) = runner.model.test_step(pseudo_collate([sample]))
        for name, picture in _pictures(image, prediction, dataset.metainfo).items():
            written.append(_write(folder / f"{index}_{name}.png", picture))
    if written and "palette" in dataset.metainfo:
        legend = draw_legend(dataset.metainfo["classes"], dataset.metainfo["palette"], LEGEND_WIDTH)
        written.append(_write(folder / "legend.png", legend))
    return written


def _write(file: Path, picture: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_picture(file, picture)
    return file


def _pictures(image: np.ndarray, prediction: Any, metainfo: dict) -> dict[str, np.ndarray]:
    if isinstance(prediction, CountingDataSample):
        return {"prediction": draw_sample(image, prediction)}
    if "pred_sem_seg" in prediction:
        labels = {"prediction": prediction.pred_sem_seg, "truth": prediction.get("gt_sem_seg")}
        return {
            name: draw_segmentation(image, maps.data[0].cpu().numpy(), metainfo["palette"])
            for name, maps in labels.items()
            if maps is not None
        }
    return {}
