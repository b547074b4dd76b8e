"""The search on a pretrained network and the target task itself, judged by fine-tuned masks.

EfficientNet-Lite0 with ImageNet weights and a light head, in plain PyTorch, on CamVid or on VGG
Cells (:mod:`benchmarks.own_network_tasks`)::

    python -m benchmarks.own_network camvid SE work_dirs/lite0_camvid_se

A folder is continued where it was stopped. It gets, one part after the other:

==============  ================================================================================
``masks``       ``supernet.pt``, and ``masks.json``: all 512 masks scored on held-out images
``importance``  ``importance.json``: each connection's Taylor importance on the supernet
``truth``       ``truth/``: masks fine-tuned one by one and tested on the validation images,
                which the search never sees
``times``       ``times.json``: seconds of a search and of a fine-tuning, from a few iterations
==============  ================================================================================

:mod:`benchmarks.own_network_results` judges such folders.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset

from benchmarks.ground_truth import sampled_masks
from benchmarks.own_network_tasks import TASKS, Network, Task
from ean_transfer import attach, connection_importance
from ean_transfer.attachment.network import find_backbone
from ean_transfer.attachment.parameters import ATTENTION_LR_FACTOR, parameter_groups
from ean_transfer.data.draws import drawing
from ean_transfer.errors import ConfigError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.files import replacing, write_atomically
from ean_transfer.search.baselines import baselines
from ean_transfer.supernet import MaskEvaluator, MaskSampler
from ean_transfer.supernet.scoring import LossScorer
from ean_transfer.ticket.mask import Mask, all_masks, bits_of, mask_of, random_mask

ITERATIONS = 300  # of a fine-tuning, and of the supernet
LR = 1e-3  # of the network; head and attention learn faster, see train()
SEARCHED, AT_A_TIME = 64, 4  # masks of a search, and those asked for in one step
PARTS = ("masks", "importance", "truth", "times")


def train(
    network: nn.Module,
    task: Task,
    part: Dataset,
    seed: int,
    *,
    masks: bool,
    lr_factor: float = ATTENTION_LR_FACTOR,
    stop: int | None = None,
) -> float:
    """Fine-tune, under random masks if so wanted; new layers learn faster than pretrained ones.

    Args:
        network: The network.
        task: Its task.
        part: The training images.
        seed: Seed of all draws.
        masks: Whether to draw a mask for each batch.
        lr_factor: Learning rate of the attention over that of the network.
        stop: Number of iterations after which to stop; by default those of the schedule.

    Returns:
        The median seconds per iteration.
    """
    if find_backbone(network).ticket.is_plain:
        body: list[Any] = [{"params": [*network.body.parameters()], "lr": LR}]  # type: ignore
    else:
        body = parameter_groups(network.body, LR, lr_factor * LR)  # type: ignore[arg-type]
    head = [p for name, p in network.named_parameters() if not name.startswith("body.")]
    optimizer = torch.optim.AdamW([*body, {"params": head, "lr": 2 * LR}])
    rates = [group["lr"] for group in optimizer.param_groups]
    schedule = OneCycleLR(optimizer, rates, total_steps=ITERATIONS)
    sampler = MaskSampler(network, seed=seed) if masks else None
    network.train()
    seconds: list[float] = []
    with drawing(seed):
        while len(seconds) < (stop or ITERATIONS):
            start = time.perf_counter()
            loader = DataLoader(part, task.batch, shuffle=True, drop_last=True)  # type: ignore
            for images, targets in loader:
                if sampler:
                    sampler.step()
                images = images.contiguous(memory_format=torch.channels_last)
                loss = task.loss(network(images), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                seconds.append(time.perf_counter() - start)
                start = time.perf_counter()
                if len(seconds) % 50 == 0:
                    print(f"iteration {len(seconds)}: loss {loss.item():.4f}", flush=True)
                if len(seconds) == (stop or ITERATIONS):
                    break
    if sampler:
        sampler.close()
    return statistics.median(seconds)


def built(task: Task, attention: str, seed: int, ticket: Any = "full") -> Network:
    """The pretrained network with attention that starts as the identity, and a new head."""
    with drawing(seed):
        network = Network(task.outputs).to(memory_format=torch.channels_last)
        options = {"SE": {"reduction": 4}}.get(attention, {})
        attach(network.body, {"type": attention, **options}, "block", ticket, init="identity")
    return network


class Study:
    """One folder of the study: a task, an attention, and how fast the attention learns."""

    def __init__(self, task: Task, attention: str, folder: Path, lr_factor: float) -> None:
        self.task, self.attention, self.folder, self.lr_factor = task, attention, folder, lr_factor
        self.parts = task.parts()
        self.scorer = LossScorer(task.loss, task.metric, task.measure)

    @property
    def about(self) -> dict[str, Any]:
        """What a folder's results must have in common."""
        return {
            "task": type(self.task).__name__,
            "attention": self.attention,
            "iterations": ITERATIONS,
            "attention_lr_factor": self.lr_factor,
        }

    def require_same(self, about: Mapping[str, Any]) -> None:
        """Refuse to continue a folder with other arguments.

        Raises:
            ConfigError: The folder's masks were scored in another study.
        """
        for name, value in self.about.items():
            if about.get(name, value) != value:
                raise ConfigError(
                    f"{self.folder / 'masks.json'}: expected {name} {value}, found {about[name]}: "
                    "give the arguments that the folder was started with, or another folder"
                )

    # -- the supernet ---------------------------------------------------------------------------

    def supernet(self) -> Network:
        """The trained supernet, trained now if the folder has none."""
        network, file = built(self.task, self.attention, seed=0), self.folder / "supernet.pt"
        if file.exists():
            network.load_state_dict(read_checkpoint(file)["state_dict"])
        else:
            part = self.parts["train"]
            train(network, self.task, part, 0, masks=True, lr_factor=self.lr_factor)
            with replacing(file) as partial:
                torch.save({"state_dict": network.state_dict()}, partial)
        return network

    def evaluator(self, network: Network) -> MaskEvaluator:
        """What scores masks on the held-out images."""
        loader = DataLoader(self.parts["held_out"], self.task.batch)
        return MaskEvaluator(network, loader, self.scorer)

    def score_all(self) -> None:
        """Score every mask on the held-out images."""
        network = self.supernet()
        ticket = find_backbone(network).ticket
        outcomes = self.evaluator(network).outcomes(all_masks(ticket.num_blocks))
        full = outcomes[ticket.mask]
        table = {
            bits_of(mask): {
                "loss": outcome.score.loss,
                self.task.metric.name: outcome.score.metric,
                "loss_over_full": list(outcome.loss_difference(full)),
            }
            for mask, outcome in outcomes.items()
        }
        blocks, images = list(ticket.backbone.blocks), full.score.images
        about = {**self.about, "blocks": blocks, "images": images}
        self.write("masks.json", {"about": about, "masks": table})

    def weigh(self) -> None:
        """Compute each connection's Taylor importance on held-out and on training images."""
        network, importance = self.supernet(), {}
        for part in ("held_out", "train"):
            with drawing(0):  # of crops
                loader = DataLoader(self.parts[part], self.task.batch, drop_last=part == "train")
                importance[part] = connection_importance(network, loader, self.scorer)
        self.write("importance.json", importance)

    # -- the ground truth -----------------------------------------------------------------------

    def fine_tune(self, mask: Mask, seed: int) -> None:
        """Fine-tune a mask's network from the pretrained weights, and test it once."""
        name = f"truth/seed{seed}_{bits_of(mask)}.json"
        if (self.folder / name).exists():
            return
        full = find_backbone(built(self.task, self.attention, seed)).ticket
        network = built(self.task, self.attention, seed, full.with_mask(mask))
        part = self.parts["train"]
        train(network, self.task, part, seed, masks=False, lr_factor=self.lr_factor)
        result = self.tested(network)
        self.write(name, result)
        print(f"seed {seed} {bits_of(mask)}: {result}", flush=True)

    def tested(self, network: Network) -> dict[str, float]:
        """Metric and loss on the validation images, with the network's running statistics."""
        network.eval()
        rows, losses = [], []
        with torch.inference_mode():
            for images, targets in DataLoader(self.parts["val"], self.task.batch):
                outputs = network(images.contiguous(memory_format=torch.channels_last))
                rows.append(self.task.measure(outputs, targets).double().reshape(len(images), -1))
                losses.append(float(self.task.loss(outputs, targets)) * len(images))
        sums = torch.cat(rows)
        metric = float(self.task.metric.value(sums.sum(dim=0).numpy(), len(sums)))
        return {self.task.metric.name: round(metric, 4), "loss": sum(losses) / len(sums)}

    # -- the times ------------------------------------------------------------------------------

    def count(self) -> None:
        """Time a search and a fine-tuning by a few iterations and masks of each."""
        part, iterations = self.parts["train"], min(8, ITERATIONS)
        supernet = built(self.task, self.attention, seed=0)
        tuned = built(self.task, self.attention, seed=0)
        per_mask = train(supernet, self.task, part, 0, masks=True, stop=iterations)
        per_iteration = train(tuned, self.task, part, 0, masks=False, stop=iterations)
        evaluator, blocks = self.evaluator(supernet), find_backbone(supernet).ticket.num_blocks
        evaluator.score((True,) * blocks)  # reads the images
        masks = [random_mask(blocks, 0, index, 0.5) for index in range(2 * AT_A_TIME)]
        steps = [masks[:AT_A_TIME], masks[AT_A_TIME:]]
        scoring = _seconds(lambda: [evaluator.outcomes(step) for step in steps]) / len(steps)
        seconds = {
            "supernet": ITERATIONS * per_mask,
            "scoring": SEARCHED / AT_A_TIME * scoring,
            "importance": _seconds(evaluator.importance),
            "fine_tuning": ITERATIONS * per_iteration,
        }
        self.write("times.json", {name: round(value, 2) for name, value in seconds.items()})

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(content) + "\n")


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compared_masks(masks: Mapping[str, Mapping[str, float]], blocks: list[int]) -> dict[str, Mask]:
    """The mask of the lowest loss, what it is shown against, and their names.

    Args:
        masks: The scores of all masks, by their bits, as in ``masks.json``.
        blocks: Number of blocks in each stage.
    """
    ticket = mask_of(min(masks, key=lambda bits: masks[bits]["loss"]))
    ends = {"none": (False,) * len(ticket), "full": (True,) * len(ticket)}
    return {"ticket": ticket, **ends, **baselines(blocks, sum(ticket), seed=0)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("attention")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--masks", type=int, default=16, help="masks to fine-tune")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each")
    parser.add_argument(
        "--attention-lr-factor",
        type=float,
        default=ATTENTION_LR_FACTOR,
        help="learning rate of the attention over that of the network",
    )
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    study = Study(
        TASKS[arguments.task](), arguments.attention, folder, arguments.attention_lr_factor
    )
    if not (folder / "masks.json").exists():  # of which the others know what to do
        study.score_all()
    scored = json.loads((folder / "masks.json").read_text())
    study.require_same(scored["about"])
    if "importance" in arguments.parts and not (folder / "importance.json").exists():
        study.weigh()
    if "truth" in arguments.parts:
        blocks = scored["about"]["blocks"]
        sampled = sampled_masks(sum(blocks), arguments.masks)
        compared = compared_masks(scored["masks"], blocks).values()
        for masks in (sampled, compared):
            for seed in range(arguments.seeds):
                for mask in masks:
                    study.fine_tune(mask, seed)
    if "times" in arguments.parts and not (folder / "times.json").exists():
        study.count()


if __name__ == "__main__":
    main()
