"""Seeded, stratified splits of a labeled data set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ganmc_lightning.data.datasets.base import ImageFileDataset, TensorDataset
from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.exceptions import ConfigurationError

Split = TensorDataset | ImageFileDataset
"""Samples of ``"train"``, ``"val"`` or ``"test"``, in memory or in files."""


def stratified_split(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Split sample indices in two, with equal class shares in both.

    Args:
        labels: int64 (N,).
        fraction: share of each class in the second split, rounded. A class of two or more samples has at least one
            sample in each split; a class of one sample is in the first split.
        seed: random seed of the shuffle.

    Returns:
        Sorted indices of the first and the second split, int64.

    Example:
        >>> labels = torch.tensor([0, 0, 0, 0, 1, 1])
        >>> first, second = stratified_split(labels, 0.5, seed=0)
        >>> labels[first], labels[second]
        (tensor([0, 0, 1]), tensor([0, 0, 1]))
    """
    first, second = [], []
    for indices in _shuffle_by_class(labels, seed):
        count = min(max(round(fraction * len(indices)), 1), len(indices) - 1)
        second.append(indices[:count])
        first.append(indices[count:])
    return torch.cat(first).sort().values, torch.cat(second).sort().values


def stratified_subset(labels: Tensor, indices: Tensor, size: int, seed: int) -> Tensor:
    """Choose ``size`` of ``indices``, with the class shares of ``indices``.

    Args:
        labels: int64 (N,) of the whole data set.
        indices: int64 (M,), the samples to choose from.
        size: number of samples, at least one per class and at most M.
        seed: random seed of the choice.

    Returns:
        Sorted indices, int64 (size,).

    Example:
        >>> stratified_subset(torch.tensor([0, 0, 0, 0, 1, 1]), torch.arange(6), 3, seed=0)
        tensor([2, 3, 5])
    """
    groups = [indices[index] for index in _shuffle_by_class(labels[indices], seed)]
    counts = [1 + int((size - len(groups)) * len(group) / len(indices)) for group in groups]
    counts = [min(count, len(group)) for count, group in zip(counts, groups, strict=True)]
    while sum(counts) < size:  # after rounding down, add the remainder to the classes furthest below their share
        shares = [
            count / len(group) if count < len(group) else 2.0 for count, group in zip(counts, groups, strict=True)
        ]
        counts[shares.index(min(shares))] += 1
    return torch.cat([group[:count] for group, count in zip(groups, counts, strict=True)]).sort().values


def train_val_split(
    labels: Tensor, num_classes: int, validation_fraction: float, train_size: int | None, name: str
) -> tuple[Tensor, Tensor]:
    """Split training samples into training and validation samples, equally in every run of a data set.

    The seed is :data:`~ganmc_lightning.data.seeds.SPLIT_SEED`, not the seed of the run. Otherwise a model could be
    trained on samples by which its teacher was selected.

    Args:
        labels: int64 (N,) of all training samples.
        num_classes: K.
        validation_fraction: share of the validation samples, in (0, 1).
        train_size: number of training samples to keep after the split, stratified by class; None keeps all.
        name: data set, for error messages.

    Returns:
        Sorted indices of the training and the validation samples, int64.

    Raises:
        ConfigurationError: ``train_size`` is less than K or more than the number of training samples.
    """
    train, val = stratified_split(labels, validation_fraction, SPLIT_SEED)
    return limit_train_size(labels, train, num_classes, train_size, name), val


def limit_train_size(labels: Tensor, train: Tensor, num_classes: int, train_size: int | None, name: str) -> Tensor:
    """Keep ``train_size`` of the training samples, stratified by class, equally in every run.

    Args:
        labels: int64 (N,) of all samples.
        train: indices of the training samples, int64 (M,).
        num_classes: K.
        train_size: number of training samples to keep; None keeps all.
        name: data set, for error messages.

    Raises:
        ConfigurationError: ``train_size`` is less than K or more than M.
    """
    if train_size is None:
        return train
    if not num_classes <= train_size <= len(train):
        raise ConfigurationError(
            f"data.train_size: got {train_size}, expected a value in [{num_classes}, {len(train)}] for {name}"
        )
    return stratified_subset(labels, train, train_size, SPLIT_SEED)


def check_validation_fraction(fraction: float, allow_zero: bool = False) -> None:
    """Check that the share of validation samples is in (0, 1).

    Args:
        fraction: share of the training samples.
        allow_zero: whether 0, no validation samples, is allowed (default: False).

    Raises:
        ConfigurationError: the share is out of range.
    """
    if not (0 < fraction < 1 or (allow_zero and fraction == 0)):
        interval = "[0, 1)" if allow_zero else "(0, 1)"
        raise ConfigurationError(f"data.validation_fraction: got {fraction}, expected a value in {interval}")


def train_test_split(data: TensorDataset, fraction: float, name: str) -> tuple[TensorDataset, TensorDataset]:
    """Split a data set without a test split into training and test samples, stratified by class.

    Args:
        data: all samples.
        fraction: share of the test samples.
        name: file and labels, for error messages.

    Raises:
        ConfigurationError: there are too few samples for a test split.

    Example:
        >>> data = TensorDataset(torch.arange(10.0)[:, None], torch.arange(10) % 2)
        >>> train, test = train_test_split(data, 0.2, "demo")
        >>> len(train), test.labels
        (8, tensor([1, 0]))
    """
    train, test = train_test_indices(data.labels, fraction, name)
    return data.subset(train), data.subset(test)


def train_test_indices(labels: Tensor, fraction: float, name: str) -> tuple[Tensor, Tensor]:
    """Return the indices of the training and the test samples that :func:`train_test_split` chooses.

    Args:
        labels: int64 (N,).
        fraction: share of the test samples.
        name: file and labels, for error messages.

    Raises:
        ConfigurationError: there are too few samples for a test split.
    """
    train, test = stratified_split(labels, fraction, SPLIT_SEED)
    if len(test) == 0:
        raise ConfigurationError(
            f"{name}: got {len(labels)} samples, too few for a test split of {fraction:.0%}; add samples of each "
            "class, or a test split"
        )
    return train, test


def normalize_weights(splits: Mapping[str, Split], name: str) -> dict[str, Split]:
    """Scale the weights of training samples to mean 1; remove the weights of other splits.

    Args:
        splits: data sets by split; ``"train"`` is required.
        name: data set, for error messages.

    Raises:
        ConfigurationError: the weight of every training sample is 0.

    Example:
        >>> data = TensorDataset(torch.zeros(2, 1), torch.tensor([0, 1]), torch.tensor([1.0, 3.0]))
        >>> normalize_weights({"train": data}, "demo")["train"].weights
        tensor([0.5000, 1.5000])
    """
    train = splits["train"]
    if not isinstance(train, TensorDataset) or train.weights is None:
        return dict(splits)
    if not train.weights.any():
        raise ConfigurationError(
            f"data.dataset: {name}: the weight of every training sample is 0, expected a positive weight"
        )
    unweighted = {
        key: TensorDataset(split.inputs, split.labels)
        for key, split in splits.items()
        if isinstance(split, TensorDataset)
    }
    weights = (train.weights / train.weights.mean()).to(torch.float32)
    return {**splits, **unweighted, "train": TensorDataset(train.inputs, train.labels, weights)}


def _shuffle_by_class(labels: Tensor, seed: int) -> list[Tensor]:
    """Return shuffled indices of each class that occurs, in ascending order of the classes."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    present: Tensor = torch.unique(labels)
    return [order[labels[order] == label] for label in present]
