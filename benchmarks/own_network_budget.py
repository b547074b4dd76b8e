"""Whether searched tickets of a pretrained network keep their budget on latency, measured again.

A folder of :mod:`benchmarks.own_network` has the scores of all masks. For budgets of a quarter,
half and three quarters of what attention in every block adds, eager and compiled, a search by the
table of latencies and by timing its best masks finds a ticket. Then the ticket is timed once more,
in turn with the plain network::

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
from benchmarks.strategies import evaluated
from ean_transfer.attachment.network import find_backbone
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.budget import check_budget, first_within_budget
from ean_transfer.search.constraint import Constraint
from ean_transfer.search.cost.table import LATENCIES, cost_table
from ean_transfer.search.reward import Reward
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.supernet.scoring import LossScorer, Score
from ean_transfer.ticket.mask import bits_of, mask_of

SHARES = (0.25, 0.5, 0.75)
"""Budgets, as shares of the time that attention in every block adds."""
FINALISTS = 10
"""Number of masks that are timed at most, as a search does by default."""


def check(folder: Folder, images: int, size: int, rounds: int) -> list[dict[str, Any]]:
    """Search under each budget, and measure each ticket again.

    Args:
        folder: The study's folder.
        images: Number of images per forward pass.
        size: Height and width of an image, in pixels.
        rounds: Number of times that everything is timed, in either measurement.
    """
    task = folder.task
    network = built(task, folder.about["attention"], seed=0).eval()
    backbone = find_backbone(network)
    metric = LossScorer(task.loss, task.metric, task.measure).metric
    example = torch.rand(images, 3, size, size, generator=torch.Generator().manual_seed(0))
    example = example.contiguous(memory_format=torch.channels_last)
    scores = {
        bits: Score(score[metric.name], score["loss"], folder.about["images"])
        for bits, score in folder.masks.items()
    }
    none, full = "0" * folder.blocks, "1" * folder.blocks
    rows = []
    for cost in LATENCIES:
        table = cost_table(cost, backbone, example=example, rounds=rounds)
        added = table.over_plain(mask_of(full))
        assert added is not None  # the plain network has a latency
        for share in SHARES:
            budget = f"{cost} <= {1.0 + share * added:.4f} x plain"
            settings = RewardSettings(quality="loss", constraint=Constraint.parse(budget))
            reward = Reward.of(settings, {cost: table}, scores[none], scores[full], metric)
            rewards = {bits: reward(mask_of(bits), score) for bits, score in scores.items()}
            strategy = STRATEGIES.build(
                dict(type="SurrogateStrategy", blocks=folder.about["blocks"], seed=0)
            )
            asked = evaluated(strategy, rewards, SEARCHED, AT_A_TIME)
            best = sorted(asked, key=rewards.__getitem__, reverse=True)
            masks = [m for m in map(mask_of, best) if reward.feasible(m, scores[bits_of(m)])]
            over, chosen = first_within_budget(backbone, reward, masks[:FINALISTS], example)
            ticket = masks[len(over)]
            kept = check_budget(backbone, reward, ticket, example)
            assert chosen is not None and kept is not None  # the constraint is on latency
            rows.append(
                {
                    "ticket": bits_of(ticket),
                    "over_budget": [bits_of(mask) for mask in over],
                    "full": added,
                    "by_table": table.over_plain(ticket),
                    "when_chosen": chosen.latency.over_plain,
                    **kept.facts,
                }
            )
            print(f"{bits_of(ticket)}: {kept}", flush=True)
    return rows


def table_of(rows: list[dict[str, Any]]) -> str:
    """The rows as a table in Markdown."""
    headings = ["budget", "full adds", "ticket", "by the table", "when chosen", "once more"]
    headings += ["rounds within", "over the budget before"]
    return markdown(
        [
            headings,
            *(
                [
                    row["budget"],
                    *(f"{row['full']:+.1%}", row["ticket"]),
                    *(f"{row[name]:+.1%}" for name in ("by_table", "when_chosen", "over_plain")),
                    f"{row['rounds_within']} of {row['rounds']}",
                    str(len(row["over_budget"])),
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
    parser.add_argument("--rounds", type=int, default=160, help="rounds of each measurement")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    folder = Folder.read(arguments.folder)
    rows = check(folder, arguments.images, arguments.size, arguments.rounds)
    print(table_of(rows))
    if arguments.out:
        about = {"folder": folder.name, "images": arguments.images}
        about |= {"size": arguments.size, "threads": torch.get_num_threads()}
        write_atomically(arguments.out, json.dumps({"about": about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
