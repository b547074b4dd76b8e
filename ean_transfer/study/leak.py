"""The guard against testing a ticket on the images that it was searched with."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.config import Config

from ean_transfer.engine.config import load_config
from ean_transfer.errors import ConfigError
from ean_transfer.search.leak import (
    SEARCHED_WITH,
    loader_images,
    search_settings,
    shared_images,
    was_searched_on,
)
from ean_transfer.study.plan import StudyPlan
from ean_transfer.ticket import Ticket


def require_unseen_test_images(plan: StudyPlan, configs: Mapping[str, Config]) -> str:
    """Refuse a study one of whose searches sees a task's test images.

    Args:
        plan: The study.
        configs: Task -> its config.

    Returns:
        What could not be decided, as a sentence for the page; empty if nothing.

    Raises:
        ConfigError: A test image is one of the search's.
    """
    tested = {task: loader_images(cfg, "test_dataloader") for task, cfg in configs.items()}
    unknown: dict[str, None] = {}  # in the order of the tasks
    for file in plan.search_configs.values():
        search = load_config(file)
        searched_with = {loader: loader_images(search, loader) for loader in SEARCHED_WITH}
        for task, images in tested.items():
            if shared := shared_images(searched_with, images):
                raise ConfigError(
                    f"task {task} ({plan.tasks[task].config}): {shared} of the search {file}, "
                    "which would flatter the ticket: search on a part of the training set, e.g. by "
                    "HeldOutEvery"
                )
            if images is None or None in searched_with.values():
                unknown[task] = None
    if not unknown:
        return ""
    return (
        f"Not decided: whether the search saw test images of {', '.join(unknown)}, since the data "
        "sets do not name their images."
    )


def doubt_about_ticket(ticket: Ticket, configs: Mapping[str, Config]) -> str:
    """What is known of the images that a ticket from a file was searched with, for the page.

    Returns:
        A sentence; empty for a ticket that no search of this toolkit has made.
    """
    if search_settings(ticket.provenance) is None:
        return ""
    seen = [task for task, cfg in configs.items() if was_searched_on(ticket, cfg)]
    if seen:
        return (
            f"The ticket was searched with the test images of {', '.join(seen)}, which flatters it."
        )
    return (
        "Not decided: whether the ticket was searched with test images, since its file does not "
        "name the images of its search."
    )
