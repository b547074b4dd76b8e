"""Whether searched tickets of a pretrained network keep their budget on latency, measured again.

A folder of :mod:`benchmarks.own_network` has the scores of all masks. For budgets of a quarter,
half and three quarters of what attention in every block adds, eager and compiled, a search finds
its ticket by the table of latencies; then the ticket is timed in turn with the plain network::

    python -m benchmarks.own_network_budget work_dirs/lite0_cells_se --out docs/results/budget.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.own_network import AT_A_TIME, SEARCHED, built
from benchmarks.own_network_judge import Folder
from benchmarks.own_network_tasks import TASKS
from benchmarks.strategies import best_so_far, evaluated
from ean_transfer.attachment.network import find_backbone
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.budget import check_budget
from ean_transfer.search.constraint import Constraint
from ean_transfer.search.cost.table import LATENCIES, CostTable, cost_table
from ean_transfer.search.reward import Reward, RewardSettings
from ean_transfer.supernet.scoring import Score
from ean_transfer.ticket.mask import mask_of

SHARES = (0.25, 0.5, 0.75)
"""Budgets, as shares of the time that attention in every block adds."""


def check(folder: Folder, images: int, size: int) -> list[dict[str, Any]]:
    """Search under each budget, and measure each ticket again.

    Args:
        folder: The study's folder.
        images: Number of images per forward pass.
        size: Height and width of an image, in pixels.
    """
    tasks = {type(task).__name__: task for task in (new() for new in TASKS.values())}
    task = tasks[folder.about["task"]]
    network = built(task, folder.about["attention"], seed=0).eval()
    backbone, metric = find_backbone(network), task.metric
    example = torch.rand(images, 3, size, size, generator=torch.Generator().manual_seed(0))
    example = example.contiguous(memory_format=torch.channels_last)
    scores = {
        bits: Score(score[metric.name], score["loss"], folder.about["images"])
        for bits, score in folder.masks.items()
    }
    none, full = "0" * folder.blocks, "1" * folder.blocks
    rows = []
    for cost in LATENCIES:
        table = cost_table(cost, backbone, example=example)
        added = _over_plain(table, full)
        for share in SHARES:
            budget = f"{cost} <= {1.0 + share * added:.4f} x plain"
            settings = RewardSettings(quality="loss", constraint=Constraint.parse(budget))
            reward = Reward.of(settings, {cost: table}, scores[none], scores[full], metric)
            rewards = {bits: reward(mask_of(bits), score) for bits, score in scores.items()}
            strategy = STRATEGIES.build(
                dict(type="SurrogateStrategy", blocks=folder.about["blocks"], seed=0)
            )
            asked = evaluated(strategy, rewards, SEARCHED, AT_A_TIME)
            ticket = best_so_far(asked, rewards, SEARCHED)[-1]
            kept = check_budget(backbone, reward, mask_of(ticket), example)
            assert kept is not None  # the constraint is on latency
            estimates = {"full": added, "ticket_by_table": _over_plain(table, ticket)}
            rows.append({"ticket": ticket, **estimates, **kept.facts})
            print(f"{ticket}: {kept}", flush=True)
    return rows


def _over_plain(table: CostTable, bits: str) -> float:
    over_plain = table.over_plain(mask_of(bits))
    assert over_plain is not None  # of a latency
    return over_plain


def table_of(rows: list[dict[str, Any]]) -> str:
    """The rows as a table in Markdown."""
    headings = ["budget", "full adds", "ticket", "table says", "measured again", "rounds within"]
    return markdown(
        [
            headings,
            *(
                [
                    row["budget"],
                    f"{row['full']:+.1%}",
                    row["ticket"],
                    f"{row['ticket_by_table']:+.1%}",
                    f"{row['over_plain']:+.1%}",
                    f"{row['rounds_within']} of {row['rounds']}",
                ]
                for row in rows
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a folder of benchmarks.own_network")
    parser.add_argument("--images", type=int, default=1, help="images per forward pass")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = check(Folder.read(arguments.folder), arguments.images, arguments.size)
    print(table_of(rows))
    if arguments.out:
        about = {"folder": arguments.folder.name, "images": arguments.images}
        about |= {"size": arguments.size, "threads": torch.get_num_threads()}
        write_atomically(arguments.out, json.dumps({"about": about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
