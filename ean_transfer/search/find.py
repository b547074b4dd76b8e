"""``find_ticket``: a whole search in plain PyTorch, for a network, data and a loss of one's own."""

from __future__ import annotations

import copy
import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ean_transfer.attachment.attach import attach
from ean_transfer.attachment.network import find_backbone
from ean_transfer.attention import AttentionSpec
from ean_transfer.data.draws import drawing
from ean_transfer.errors import ConfigError
from ean_transfer.io.progress import progress_bar
from ean_transfer.search.cost.kept import cost_tables
from ean_transfer.search.cost.table import cost_table
from ean_transfer.search.found_ticket import FoundTicket
from ean_transfer.search.search import Search
from ean_transfer.search.settings import SearchSettings
from ean_transfer.search.state_file import StateFile
from ean_transfer.supernet.batches import as_the_model_takes, inputs_and_targets
from ean_transfer.supernet.evaluation import MaskEvaluator
from ean_transfer.supernet.scoring import FunctionScorer, LossScorer, Metric, Scorer
from ean_transfer.supernet.training import FineTuning, SupernetTraining

_MASKS_PER_STEP = 4
_IMAGES_TO_TIME = 8


def find_ticket(
    model: nn.Module,
    train_loader: Iterable[Any],
    val_loader: Iterable[Any],
    *,
    attention: AttentionSpec,
    loss: Callable[[Any, Any], Tensor],
    score: Callable[[Any], Any] | Scorer | None = None,
    constraint: str | None = None,
    reward: Mapping[str, Any] | None = None,
    masks: int = 100,
    strategy: str | Mapping[str, Any] = "SurrogateStrategy",
    worthwhile: float | None = None,
    taylor_prior: bool = False,
    bn: str = "batch",
    images: int | None = None,
    sharing: str = "stage",
    at: str | list[str] | None = None,
    init: str = "identity",
    epochs: int = 3,
    lr: float = 1e-3,
    attention_lr: float | None = None,
    probability: float = 0.5,
    seed: int = 0,
    state: str | os.PathLike[str] | None = None,
    verbose: bool = True,
) -> FoundTicket:
    """Find where attention is worth its cost in a network, on one's own data.

    A copy of the network with attention everywhere is fine-tuned for a few epochs under random
    masks; then masks of it are scored on the validation images, and the best of them becomes the
    ticket. The network itself is left as it was::

        result = ean_transfer.find_ticket(
            model, train_loader, val_loader, attention="ECA", loss=F.cross_entropy,
            constraint="latency <= 1.05 x plain", epochs=3,
        )
        result.ticket.save("ticket.json")
        result.apply(model)  # then fine-tune it

    The same seed gives the same ticket, unless a latency decides or the loaders draw from a
    generator of their own. The validation images must not be those of the final test.

    Args:
        model: A network without attention, on the device to train on; its blocks are found, or
            named by ``at``.
        train_loader: Batches of inputs and targets, with a length.
        val_loader: The same, of images that are not trained on. A ``DataLoader`` of a map-style
            data set is read in an order of its own, always the same, and kept in memory, or on the
            disk if it is too large; of its sampler only the choice of images counts, by the
            sampler's ``indices`` or as a list. Other batches are taken as they are: each should
            have images of all kinds, since masks are scored with the BatchNorm statistics of each
            batch.
        attention: ``"ECA"``, ``dict(type="SE", reduction=8)``, ...
        loss: Function of outputs and targets to the mean loss.
        score: What masks are compared by instead of the loss: a function of a network to one
            number, higher is better, or to a tensor of one value per validation image, so that
            masks are compared in pairs; or a :class:`~ean_transfer.supernet.scoring.Scorer`.
        constraint: Budget such as ``"latency <= 1.05 x plain"``, ``"connections = 4"`` or
            ``"params <= 20000"``.
        reward: The config's ``search.reward`` instead of what score and constraint make.
        masks: Number of masks to ask for, rounded up to a multiple of 4.
        strategy: The search strategy, by name or with options.
        worthwhile: Smallest advantage over the plain network that is worth having, in the unit that
            masks are compared in: whether there is any is then said before the search.
        taylor_prior: Whether the strategy starts from what each connection does for the loss to
            first order, see :func:`~ean_transfer.connection_importance`.
        bn: BatchNorm statistics of a mask, see :class:`~ean_transfer.supernet.MaskEvaluator`.
        images: Number of validation images to search with, of a ``DataLoader`` with a batch size;
            all by default. Finalists are scored on all.
        sharing: ``"stage"``: one attention module per stage; ``"block"``: one per block.
        at: Names or patterns of modules to attach to, see :func:`~ean_transfer.attach`.
        init: ``"identity"``: at first, the supernet is the network under every mask; or
            ``"default"``.
        epochs: Number of epochs of fine-tuning.
        lr: Highest learning rate of the network.
        attention_lr: Highest learning rate of the attention; ten times ``lr`` by default.
        probability: Probability of each block to be connected while training.
        seed: Seed of masks, shuffling, dropout and strategy.
        state: File to keep everything in that a stopped search needs; a search that finds it
            continues there.
        verbose: Whether to print the verdict at the end.

    Raises:
        ConfigError: An argument is not valid, or no mask keeps the budget.
        TrainingError: The loss becomes NaN or infinite.
        CheckpointError: ``state`` is broken.
    """
    # What is drawn follows the seed alone, and the program's own draws are left as they were.
    with drawing(seed):  # apart, so that what a loader draws changes nothing below
        inputs = _inputs(model, val_loader)
        example = (_first_images(inputs),)
    with drawing(seed):
        where: dict[str, Any] = {"at": at, "init": init}
        if at is not None:
            where["example"] = (inputs,)  # one argument, also if it is a tuple
        attached = {**where, "attention": attention, "sharing": sharing}
        supernet = _channels_last(attach(copy.deepcopy(model), **attached))
        recipe = FineTuning(
            epochs=epochs, lr=lr, attention_lr=attention_lr, probability=probability
        )
        scorer = _scorer(loss, score)
        wanted = _reward(reward, scorer.metric, constraint)
        settings = SearchSettings.of(
            {
                "strategy": strategy if isinstance(strategy, Mapping) else {"type": strategy},
                "reward": wanted,
                "steps": math.ceil(masks / _MASKS_PER_STEP),
                "masks_per_step": _MASKS_PER_STEP,
                "bn": bn,
                "images": images,
                "worthwhile": worthwhile,
                "taylor_prior": taylor_prior,
            }
        )
        settings.reward.require_known(scorer.metric)
        if taylor_prior and not scorer.reads_batches:  # refused before the training
            raise ConfigError("taylor_prior needs a loss on batches: leave it out with this score")
        network = find_backbone(supernet)
        settings.build_strategy(network.ticket.backbone.blocks, seed)  # refused before the training
        if settings.reward.constraint is not None:
            counted = [cost for cost in settings.reward.costs if cost in ("params", "macs")]
            known = {cost: cost_table(cost, network, example=example) for cost in counted}
            settings.reward.constraint.require_possible(known, network.ticket.num_blocks)
        training = SupernetTraining(supernet, train_loader, loss, recipe, seed)
        with TemporaryDirectory() as folder:
            work = Path(folder)
            evaluator = MaskEvaluator(supernet, val_loader, scorer, bn, images, folder=work)
            kept = StateFile(
                state,
                work,
                {
                    "places": list(network.ticket.backbone.places),
                    "network": network.ticket.id,
                    "seed": seed,
                    "init": init,
                    **recipe.model_dump(),
                    "iterations": training.schedule.total_steps,
                },
            )
            kept.resume(training)
            _train(training, kept)
            search = Search(
                evaluator,
                settings,
                seed,
                written={
                    "reward": wanted,
                    "batch_size": getattr(val_loader, "batch_size", None),
                    "held_out_sha256": None,  # data sets of one's own are not described
                },
                logger=logging.getLogger("ean_transfer"),
                scalars=lambda curves, step: kept.save(training),
            )
            search.keep_in(work, resume=kept.has_search, within=kept.file)
            costs = settings.reward.costs
            tables = cost_tables(
                costs,
                network,
                work,
                latency_options={},
                example=example,
            )
            result = FoundTicket(search.run(tables, example), supernet, attached)
    if verbose:
        print(result)
    return result


def evaluate_masks(
    model: nn.Module,
    loader: Iterable[Any],
    masks: Iterable[Any],
    score: Callable[[Any, Any], Tensor] | Scorer,
    *,
    bn: str = "batch",
) -> dict[Any, Any]:
    """Score masks of a supernet: a network with attention at every place, trained under masks.

    Args:
        model: The supernet; left as it was.
        loader: Batches of inputs and targets, read like ``val_loader`` of :func:`find_ticket`.
        masks: Masks of one truth value per block.
        score: The loss, a function of outputs and targets; or a
            :class:`~ean_transfer.supernet.scoring.Scorer`.
        bn: BatchNorm statistics of a mask, see :class:`~ean_transfer.supernet.MaskEvaluator`.

    Returns:
        Mask -> :class:`~ean_transfer.supernet.scoring.Outcome`, which has a value per image, in the
        order in which they are read, and can be compared with another in pairs.

    Raises:
        TicketError: A mask has another length than the network has blocks, or is text.
        ConfigError: The network is no supernet, or batches, loss or score are not as expected.
    """
    scorer = score if isinstance(score, Scorer) else LossScorer(score)
    return MaskEvaluator(model, loader, scorer, bn).outcomes(list(masks))


def _channels_last(model: nn.Module) -> nn.Module:
    """Lay out a network's weights of 2D convolutions for faster maps, in place."""
    # Module.to() would do the same, but fails on a network that has 3D convolutions as well.
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    return model


def _scorer(loss: Callable[[Any, Any], Tensor], score: Any) -> Scorer:
    if score is None:
        return LossScorer(loss)
    return score if isinstance(score, Scorer) else FunctionScorer(score)


def _reward(
    reward: Mapping[str, Any] | None, metric: Metric, constraint: str | None
) -> dict[str, Any]:
    """What is searched for; of equally good masks the sparser."""
    if reward is not None:
        if constraint is not None:
            raise ConfigError("reward and constraint: expected one, as a reward has its own")
        return dict(reward)
    made: dict[str, Any] = {"quality": metric.name, "cost": "sparsity", "weight": 0.0}
    return made if constraint is None else {"quality": metric.name, "constraint": constraint}


def _inputs(model: nn.Module, loader: Iterable[Any]) -> Any:
    """Inputs of the first batch, on the model's device."""
    batches = iter(loader)
    if batches is loader:  # what is read here would be missing later
        raise ConfigError(
            "val_loader: expected batches that can be read again, such as a DataLoader or a list, "
            f"found {type(loader).__name__}"
        )
    for batch in batches:
        inputs, _ = inputs_and_targets(batch)
        return as_the_model_takes(inputs, model)
    raise ConfigError("val_loader: expected at least one batch, found none")


def _first_images(inputs: Any) -> Any:
    """The inputs of so few images that a forward can be timed often."""
    return tree_map(lambda x: x[:_IMAGES_TO_TIME] if isinstance(x, Tensor) else x, inputs)


def _train(training: SupernetTraining, kept: StateFile) -> None:
    epochs = training.recipe.epochs
    with progress_bar() as bar:
        task = bar.add_task("supernet", total=epochs, completed=training.epoch, note="epochs")
        for epoch in training:
            kept.save(training)
            bar.update(task, completed=epoch)
