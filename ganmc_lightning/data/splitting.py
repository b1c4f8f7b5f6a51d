"""Parts of a data set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ganmc_lightning.data.datasets.base import DatasetSplits, ImageFileDataset, TensorDataset
from ganmc_lightning.data.datasets.split import shuffled_by_class, stratified_split
from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.exceptions import ConfigurationError

Part = TensorDataset | ImageFileDataset


def data_root(root: str | None) -> Path:
    """Return the folder of the cached data sets: ``root``, else ``$GANMC_DATA``, else ``./data``."""
    return Path(root or os.environ.get("GANMC_DATA") or "data")


def check_validation_fraction(value: float) -> None:
    """Validate ``data.validation_fraction``.

    Raises:
        ConfigurationError: it is not in (0, 1).
    """
    if not 0 < value < 1:
        raise ConfigurationError(f"data.validation_fraction: got {value}, expected a value in (0, 1)")


def train_val_test_split(
    splits: DatasetSplits, validation_fraction: float, train_size: int | None, name: str
) -> dict[str, Part]:
    """Split a data set into ``"train"``, ``"val"`` and ``"test"``, equal in every run and command.

    Args:
        splits: training and test samples.
        validation_fraction: fraction of the training samples that is held out, in (0, 1).
        train_size: number of training samples to keep, stratified, after the split; None keeps all.
        name: name of the data set for error messages.

    Raises:
        ConfigurationError: ``train_size`` is out of range.
    """
    labels = splits.train.labels
    kept, held_out = stratified_split(labels, validation_fraction, SPLIT_SEED)
    if train_size is not None:
        if not splits.num_classes <= train_size <= len(kept):
            raise ConfigurationError(
                f"data.train_size: got {train_size}, expected a value in [{splits.num_classes}, {len(kept)}] for {name}"
            )
        kept = stratified_subset(labels, kept, train_size, SPLIT_SEED)
    return {"train": splits.train.subset(kept), "val": splits.train.subset(held_out), "test": splits.test}


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
