"""Parts of a data set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ganmc_lightning.data.datasets.base import ImageFileDataset, TensorDataset
from ganmc_lightning.data.datasets.split import shuffled_by_class, stratified_split
from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.exceptions import ConfigurationError

Part = TensorDataset | ImageFileDataset


def check_validation_fraction(fraction: float) -> None:
    """Check that the share of validation samples is in (0, 1).

    Raises:
        ConfigurationError: it is not.
    """
    if not 0 < fraction < 1:
        raise ConfigurationError(f"data.validation_fraction: got {fraction}, expected a value in (0, 1)")


def train_val_split(
    labels: Tensor, num_classes: int, validation_fraction: float, train_size: int | None, name: str
) -> tuple[Tensor, Tensor]:
    """Split training samples into training and validation samples, equally in every run of a data set.

    Args:
        labels: int64 (N,) of all training samples.
        num_classes: K.
        validation_fraction: share of the validation samples, in (0, 1).
        train_size: number of training samples kept after the split, a stratified choice; None keeps all.
        name: data set, for error messages.

    Returns:
        Sorted indices of the training and the validation samples, int64.

    Raises:
        ConfigurationError: ``train_size`` is less than K or more than the number of training samples.
    """
    train, val = stratified_split(labels, validation_fraction, SPLIT_SEED)
    if train_size is None:
        return train, val
    if not num_classes <= train_size <= len(train):
        raise ConfigurationError(
            f"data.train_size: got {train_size}, expected a value in [{num_classes}, {len(train)}] for {name}"
        )
    return stratified_subset(labels, train, train_size, SPLIT_SEED), val


def stratified_subset(labels: Tensor, indices: Tensor, size: int, seed: int) -> Tensor:
    """Choose ``size`` of ``indices`` with the class shares of the whole; sorted.

    Args:
        labels: int64 (N,) of the whole data set.
        indices: the samples to choose from.
        size: how many, at least one a class.
        seed: seeds the choice.
    """
    groups = [indices[index] for index in shuffled_by_class(labels[indices], seed)]
    counts = [1 + int((size - len(groups)) * len(group) / len(indices)) for group in groups]
    counts = [min(count, len(group)) for count, group in zip(counts, groups, strict=True)]
    while sum(counts) < size:  # rounding left a few: the classes furthest below their share get them
        shares = [
            count / len(group) if count < len(group) else 2.0 for count, group in zip(counts, groups, strict=True)
        ]
        counts[shares.index(min(shares))] += 1
    return torch.cat([group[:count] for group, count in zip(groups, counts, strict=True)]).sort().values


def with_relative_weights(parts: Mapping[str, Part], name: str) -> dict[str, Part]:
    """Make weights of training samples 1 on average; other samples lose theirs, for scores count each once.

    Args:
        parts: data sets, ``"train"`` among them.
        name: of the source, for a message.

    Raises:
        ConfigurationError: all training samples have the weight 0.
    """
    train = parts["train"]
    if not isinstance(train, TensorDataset) or train.weights is None:
        return dict(parts)
    if not train.weights.any():
        raise ConfigurationError(
            f"data.source: all training rows of {name} have the weight 0: give some of them another"
        )
    bare = {
        key: TensorDataset(part.inputs, part.labels) for key, part in parts.items() if isinstance(part, TensorDataset)
    }
    weights = (train.weights / train.weights.mean()).to(torch.float32)
    return {**parts, **bare, "train": TensorDataset(train.inputs, train.labels, weights)}
