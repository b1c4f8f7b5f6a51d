"""Data loaders with distributed sharding, per-epoch shuffling and mid-epoch resume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.data.seeds import derive_seed
from ganmc_lightning.data.splits import Split
from ganmc_lightning.exceptions import ConfigurationError


class ResumableDistributedSampler(DistributedSampler[Any]):
    """Distributed sampler that can resume an interrupted epoch.

    It is a DistributedSampler because Lightning does not replace it and sets its epoch.

    Args:
        size: number of samples in the data set.
        rank: index of this process.
        world_size: number of processes.
        seed: random seed of the shuffle; None keeps the order of the data set and all samples.

    Attributes:
        start: number of samples that the next pass skips.

    Example:
        >>> sampler = ResumableDistributedSampler(5, rank=0, world_size=2, seed=None)
        >>> list(sampler)
        [0, 2, 4]
        >>> sampler.start = 2
        >>> list(sampler)
        [4]
    """

    def __init__(self, size: int, rank: int, world_size: int, seed: int | None) -> None:
        super().__init__(range(size), world_size, rank, shuffle=seed is not None, seed=seed or 0)  # type: ignore[arg-type]
        self.size = size
        self.shuffled = seed is not None
        self.start = 0

    def indices(self) -> Tensor:
        """Return the sample indices of this process in the epoch, int64, without skipped samples."""
        if self.shuffled:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
            order = torch.randperm(self.size, generator=generator)
            # Drop the remainder, so that all processes take the same number of steps.
            order = order[: self.size - self.size % self.num_replicas]
        else:
            order = torch.arange(self.size)
        order = order[self.rank :: self.num_replicas][self.start :]
        self.start = 0
        return order

    def __iter__(self) -> Iterator[int]:
        """Iterate over :meth:`indices`."""
        return iter(self.indices().tolist())

    def __len__(self) -> int:
        if self.shuffled:
            return self.size // self.num_replicas
        return len(range(self.rank, self.size, self.num_replicas))


class _Loader:
    """Base class of loaders that count the batches of an epoch; Lightning saves the count in every checkpoint.

    It is not a DataLoader, because Lightning would recreate a DataLoader for prediction with another sampler.
    """

    def __init__(self, sampler: ResumableDistributedSampler, batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler  # Lightning calls set_epoch on this attribute ...
        self.batch_sampler = None  # ... or, if it is set, on this one
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._epoch = -1
        self._batches = 0
        self._resumed = False
        self._saved_batch_size = 0

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def state_dict(self) -> dict[str, int]:
        """Return the epoch of the last batch, the number of batches returned in it, and their size in all processes."""
        return {"epoch": self._epoch, "batches": self._batches, "batch_size": self._total_batch_size}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Skip the batches already returned if the next pass is over the stored epoch."""
        self._epoch = state["epoch"]
        self._batches = state["batches"]
        self._saved_batch_size = state.get("batch_size", self._total_batch_size)
        self._resumed = True

    @property
    def _total_batch_size(self) -> int:
        return self.batch_size * self.sampler.num_replicas

    def _begin(self) -> None:
        if not self._resumed or self._epoch != self.sampler.epoch:
            self._batches = 0
        elif self._batches and self._saved_batch_size != self._total_batch_size:
            raise ConfigurationError(
                f"data.batch_size: got {self._total_batch_size} samples in a batch of all processes, expected "
                f"{self._saved_batch_size} as in the checkpoint, which was saved within an epoch; resume with the "
                "batch size of the run, or from a checkpoint of the end of an epoch"
            )
        self._resumed = False
        self._epoch = self.sampler.epoch
        self.sampler.start = self._batches * self.batch_size


class InMemoryLoader(_Loader):
    """Loader of batches by index-select from tensors on the training device, without workers and copies.

    Args:
        inputs: all samples (N, ...), on the device.
        labels: int64 (N,), on the device.
        sampler: sampler of this process.
        batch_size: number of samples in a batch.
        drop_last: whether to drop an incomplete last batch.

    Example:
        >>> sampler = ResumableDistributedSampler(3, rank=0, world_size=1, seed=None)
        >>> loader = InMemoryLoader(torch.tensor([5.0, 6.0, 7.0]), torch.tensor([0, 1, 0]), sampler, 2, drop_last=False)
        >>> [inputs.tolist() for inputs, labels, index in loader]
        [[5.0, 6.0], [7.0]]
    """

    def __init__(
        self, inputs: Tensor, labels: Tensor, sampler: ResumableDistributedSampler, batch_size: int, drop_last: bool
    ) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self.inputs = inputs
        self.labels = labels

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield samples, labels, and the indices of the samples in the data set, int64 (N,)."""
        self._begin()
        order = self.sampler.indices().to(self.labels.device)
        remaining = len(self) - self._batches
        for index in order.split(self.batch_size)[:remaining]:
            self._batches += 1
            yield self.inputs.index_select(0, index), self.labels.index_select(0, index), index


class ResumableDataLoader(_Loader):
    """Loader of batches of samples that worker processes read from files.

    Args:
        dataset: data set; its ``__getitem__`` returns one sample and its label.
        sampler: sampler of this process.
        batch_size: number of samples in a batch.
        drop_last: whether to drop an incomplete last batch.
        num_workers: number of worker processes.
        pin_memory: whether to pin memory, for transfers to a GPU.
    """

    def __init__(
        self,
        dataset: Dataset[tuple[Tensor, Tensor]],
        sampler: ResumableDistributedSampler,
        batch_size: int,
        *,
        drop_last: bool,
        num_workers: int,
        pin_memory: bool,
    ) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self._loader = DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            generator=torch.Generator(),  # otherwise every pass would use the global generator
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self._begin()
        try:
            for inputs, labels in self._loader:
                self._batches += 1
                yield inputs, labels
        except ConfigurationError as error:
            # DataLoader workers put their traceback into the message; the original message is its last line.
            message = str(error).strip().splitlines()[-1]
            raise ConfigurationError(
                message.removeprefix(f"{ConfigurationError.__module__}.ConfigurationError: ")
            ) from error


Loader = InMemoryLoader | ResumableDataLoader


def check_split_size(size: int, world_size: int, name: str) -> None:
    """Check that each process has a sample of a split.

    Args:
        size: number of samples.
        world_size: number of processes.
        name: split and data set, for the error message.

    Raises:
        ConfigurationError: there is no sample, or there are more processes than samples.
    """
    if size == 0:
        raise ConfigurationError(f"data: got 0 {name}, expected at least one; add samples or change the splits")
    if size < world_size:
        raise ConfigurationError(
            f"trainer.devices: got {world_size} processes for {size} {name}, expected at least one sample per process"
        )


def make_loader(
    data: Split,
    sampler: ResumableDistributedSampler,
    batch_size: int,
    *,
    drop_last: bool,
    num_workers: int,
    pin_memory: bool,
) -> Loader:
    """Return the loader for samples in memory or in files.

    Args:
        data: the samples.
        sampler: sampler of this process.
        batch_size: number of samples in a batch, reduced to the number of samples of the process.
        drop_last: whether to drop an incomplete last batch.
        num_workers: number of worker processes for files.
        pin_memory: whether to pin memory of samples from files, for transfers to a GPU.
    """
    batch_size = max(1, min(batch_size, len(sampler)))
    if isinstance(data, TensorDataset):
        return InMemoryLoader(data.inputs, data.labels, sampler, batch_size, drop_last)
    return ResumableDataLoader(
        data, sampler, batch_size, drop_last=drop_last, num_workers=num_workers, pin_memory=pin_memory
    )
