"""Random draws of a training that depend on the seed and on their place in the training alone.

A stopped training can only continue as if nothing had happened where no draw depends on what was
drawn before: the generators of a data loader's workers are ahead of the training, and nobody can
read them. So generators are seeded anew for every image, and in every iteration for the network's
own draws (dropout, mixed images). Then 0 and 2 workers also give the same weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

from ean_transfer.data.draws import kept_generators, seed_generators

_IMAGES, _ITERATIONS, _EPOCHS = range(3)  # streams that must not share their draws


def seed_iteration(seed: int, iteration: int) -> None:
    """Seed this process's generators for one iteration; each rank draws other numbers."""
    seed_generators(seed, _ITERATIONS, get_dist_info()[0], iteration, devices=True)


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed this process's generators for what is drawn before an epoch, such as an order."""
    seed_generators(seed, _EPOCHS, epoch, devices=True)


class NumberedIndex(int):
    """Index of an image that also says where in the training it is drawn: epoch and place."""

    place: tuple[int, int]


@DATA_SAMPLERS.register_module()
class NumberedSampler(Sampler):
    """Yields the indices of another sampler as :class:`NumberedIndex`.

    Places are counted over all ranks, so that an image's draws do not depend on their number.

    Args:
        sampler: The config of the other sampler, or the sampler.
        dataset: The data set.
        seed: Seed of the order.
    """

    def __init__(self, sampler: Any, dataset: Dataset, seed: int | None) -> None:
        arguments = dict(dataset=dataset, seed=seed)
        if isinstance(sampler, Mapping):
            sampler = DATA_SAMPLERS.build(sampler, default_args=arguments)
        self.sampler = sampler
        self.epoch = 0
        self._first = 0
        if hasattr(sampler, "skip"):  # mmengine asks by it whether a sampler can skip
            self.skip = self.start_at

    def __getattr__(self, name: str) -> Any:
        if name == "sampler":  # not set yet, while it is unpickled
            raise AttributeError(name)
        return getattr(self.sampler, name)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[NumberedIndex]:
        first, self._first = self._first, 0
        rank, ranks = get_dist_info()
        for place, number in enumerate(self.sampler):
            if place >= first:
                index = NumberedIndex(number)
                index.place = (self.epoch, place * ranks + rank)
                yield index

    def start_at(self, place: int) -> None:
        """Leave out this rank's first indices, when it is iterated next."""
        self._first = place

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, in which the order and all draws differ from those of another."""
        self.epoch = epoch
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)


@DATASETS.register_module()
class SeededDataset(Dataset):
    """Reads images of another data set, each with generators seeded by its place in the training.

    Everything else is the other data set's.

    Args:
        dataset: The config of the other data set, or the data set.
        seed: Seed of the training.
    """

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.seed = seed

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # not set yet, while it is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The images of a batch, as a data loader asks for them."""
        numbered = [index for index in indices if isinstance(index, NumberedIndex)]
        if len(numbered) < len(indices):  # not a training's
            return [self.dataset[index] for index in indices]
        images = []
        with kept_generators():  # once for the batch: it takes six times as long as to seed them
            for index in numbered:
                seed_generators(self.seed, _IMAGES, *index.place)
                images.append(self.dataset[int(index)])
        return images


def seeded_loader(loader: Any, seed: int) -> Any:
    """The config of a data loader whose draws depend on the seed and their place alone."""
    if not isinstance(loader, Mapping) or not isinstance(loader.get("sampler"), Mapping):
        return loader
    return {
        **loader,
        "dataset": dict(type=SeededDataset, dataset=loader["dataset"], seed=seed),
        "sampler": dict(type=NumberedSampler, sampler=loader["sampler"]),
    }
