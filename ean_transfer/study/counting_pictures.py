"""Pictures of the test images on which the arms of a counting study are most wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.inference import CrowdCounter
from ean_transfer.data.config import dataset_config
from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.engine.config import load_config
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.io.images import read_image
from ean_transfer.study.counting_figure import CountingRun, worst_images
from ean_transfer.visualization.density import draw_density


def worst_rows(
    cfg: Config,
    runs: Mapping[str, Sequence[CountingRun]],
    number: int,
    *,
    without_images: bool = False,
) -> list[dict[str, npt.NDArray[np.uint8]]]:
    """Draw the test images with the largest errors, each as every arm's first run sees it.

    Args:
        cfg: The config of the task. Each network is built from the copy that its run has written,
            which has the arm's attention.
        runs: Arm -> runs.
        number: Number of images.
        without_images: Whether to draw on black instead of on the image, for data that may not be
            shown.

    Returns:
        For each image, title -> heat map with the true points and both counts. The pictures of a
        row share one colour scale.

    Raises:
        ConfigError: A run was made with another config.
        DataError: No count of any run is finite.
    """
    name = Path(str(cfg.filename)).name
    counters = {
        arm: CrowdCounter.trained(load_config(folder / name), last_checkpoint(folder))
        for arm, folder in ((arm, several[0].folder) for arm, several in runs.items())
    }
    with config_errors(cfg):
        dataset = DATASETS.build(dataset_config(cfg))
    infos = {info["img_path"]: info for info in map(dataset.get_data_info, range(len(dataset)))}
    rows = []
    for file in worst_images(runs, number):
        image = read_image(file, next(iter(counters.values())).exif)
        counts = {arm: counter(image) for arm, counter in counters.items()}
        densities = {
            arm: np.nan_to_num(count.density, nan=0, posinf=0, neginf=0)
            for arm, count in counts.items()
        }
        vmax = max(float(density.max()) for density in densities.values())
        points = infos[file]["points"]
        shown = np.ascontiguousarray(0 * image if without_images else image[..., ::-1])
        rows.append(
            {
                f"{Path(file).name}: {arm}": draw_density(
                    shown,
                    densities[arm],
                    points,
                    count=len(points),
                    pred=count.count,
                    cell=count.cell,
                    vmax=vmax,
                )
                for arm, count in counts.items()
            }
        )
    return rows
