"""Loaders that shard by process, reshuffle by epoch and can be taken up in mid-epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from ganmc_lightning.data.seeds import derive_seed
from ganmc_lightning.exceptions import ConfigurationError


class ResumableDistributedSampler(DistributedSampler[Any]):
    """The order in which one process sees its share of the data set in one epoch.

    It is a DistributedSampler so that Lightning leaves it in place and tells it the epoch.

    Args:
        size: samples in the data set.
        rank: number of this process.
        world_size: number of processes.
        seed: seed of the shuffle; None keeps the order of the data set, each sample seen exactly once.

    Attributes:
        start: samples of the epoch to skip, for the next pass alone.
    """

    def __init__(self, size: int, rank: int, world_size: int, seed: int | None) -> None:
        super().__init__(range(size), world_size, rank, shuffle=seed is not None, seed=seed or 0)  # type: ignore[arg-type]
        self.size = size
        self.shuffled = seed is not None
        self.start = 0

    def indices(self) -> Tensor:
        """The epoch's indices of this process, int64, without those to skip."""
        if self.shuffled:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
            order = torch.randperm(self.size, generator=generator)
            # Every process takes the same number of training steps: the odd samples wait for another epoch.
            order = order[: self.size - self.size % self.num_replicas]
        else:
            order = torch.arange(self.size)
        order = order[self.rank :: self.num_replicas][self.start :]
        self.start = 0
        return order

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices().tolist())

    def __len__(self) -> int:
        if self.shuffled:
            return self.size // self.num_replicas
        return len(range(self.rank, self.size, self.num_replicas))


class _Loader:
    """Batches in an order of their own; Lightning saves how far they went in every checkpoint.

    It is no DataLoader, which Lightning would build anew, with an order of its own, to predict.
    """

    def __init__(self, order: ResumableDistributedSampler, batch_size: int, drop_last: bool) -> None:
        self.sampler = order  # where Lightning looks for something to tell the epoch ...
        self.batch_sampler = None  # ... and here before that
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._epoch = -1
        self._batches = 0
        self._resumed = False

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def state_dict(self) -> dict[str, int]:
        """The epoch that batches were last handed out from, and how many of them."""
        return {"epoch": self._epoch, "batches": self._batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next pass behind the batches already handed out, if it is of the same epoch."""
        self._epoch = state["epoch"]
        self._batches = state["batches"]
        self._resumed = True

    def _begin(self) -> None:
        if not self._resumed or self._epoch != self.sampler.epoch:
            self._batches = 0
        self._resumed = False
        self._epoch = self.sampler.epoch
        self.sampler.start = self._batches * self.batch_size


class InMemoryLoader(_Loader):
    """Batches by index-select from tensors that live on the training device: no workers, no copies.

    Args:
        inputs: all samples (N, ...), on the device.
        labels: int64 (N,), on the device.
        order: which samples, in which order.
        batch_size: samples in a batch.
        drop_last: leave out the last batch where it is smaller.
    """

    def __init__(
        self, inputs: Tensor, labels: Tensor, order: ResumableDistributedSampler, batch_size: int, drop_last: bool
    ) -> None:
        super().__init__(order, batch_size, drop_last)
        self.inputs = inputs
        self.labels = labels

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield samples, labels, and the numbers of the samples in the data set, int64 (N,)."""
        self._begin()
        order = self.sampler.indices().to(self.labels.device)
        remaining = len(self) - self._batches
        for index in order.split(self.batch_size)[:remaining]:
            self._batches += 1
            yield self.inputs.index_select(0, index), self.labels.index_select(0, index), index


class ResumableDataLoader(_Loader):
    """The same for samples read from disk by worker processes.

    Args:
        dataset: samples that decode themselves.
        order: which samples, in which order.
        batch_size: samples in a batch.
        drop_last: leave out the last batch where it is smaller.
        num_workers: worker processes.
        pin_memory: whether batches go on to a GPU.
    """

    def __init__(
        self,
        dataset: Dataset[tuple[Tensor, Tensor]],
        order: ResumableDistributedSampler,
        batch_size: int,
        drop_last: bool,
        num_workers: int,
        pin_memory: bool,
    ) -> None:
        super().__init__(order, batch_size, drop_last)
        self._loader = DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=order,
            drop_last=drop_last,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            generator=torch.Generator(),  # else every pass would take a number from the global one
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self._begin()
        try:
            for inputs, labels in self._loader:
                self._batches += 1
                yield inputs, labels
        except ConfigurationError as error:
            # A worker's complaint arrives with the worker's traceback around it; the complaint is the last line.
            complaint = str(error).strip().splitlines()[-1]
            raise ConfigurationError(
                complaint.removeprefix(f"{ConfigurationError.__module__}.ConfigurationError: ")
            ) from error
