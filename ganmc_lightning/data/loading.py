"""Load a data set, split it and scale its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.schema import TableSchema
from ganmc_lightning.data.splits import Split, limit_train_size, normalize_weights, train_val_split
from ganmc_lightning.data.statistics import channel_statistics, row_statistics
from ganmc_lightning.exceptions import ConfigurationError


class LoadedData(NamedTuple):
    """A data set after loading, splitting and scaling.

    Attributes:
        splits: samples of ``"train"``, ``"val"`` and ``"test"``; without ``"val"`` if there are no validation samples.
        spec: shape of one sample, classes and statistics.
        scaler: scaler of the rows; None for images.
        schema: names of the columns of rows; None for images.
    """

    splits: dict[str, Split]
    spec: DataSpec
    scaler: RowScaler | None
    schema: TableSchema | None

    @property
    def validation_split(self) -> str:
        """``"val"``, or ``"test"`` without validation samples."""
        return "val" if "val" in self.splits else "test"

    def split(self, name: str) -> Split:
        """Return the samples of a split.

        Raises:
            ConfigurationError: there are no validation samples.
        """
        if name not in self.splits:
            raise ConfigurationError(
                "data.validation_fraction: got 0, which leaves no validation samples, expected a value in (0, 1)"
            )
        return self.splits[name]

    def to(self, device: torch.device) -> LoadedData:
        """Move the samples in memory to a device."""
        splits = {
            name: split.to(device) if isinstance(split, TensorDataset) else split for name, split in self.splits.items()
        }
        return self._replace(splits=splits)

    def rescale(self, scaler: RowScaler) -> LoadedData:
        """Scale the rows with another scaler, e.g. of a checkpoint; no-op for equal scalers and for images."""
        old = self.scaler
        if old is None or scaler.equals(old):
            return self
        splits = _transform_inputs(
            self.splits, lambda rows: scaler.transform(old.inverse_transform(rows, valid=False)).to(rows.device)
        )
        return self._replace(splits=splits, scaler=scaler, spec=self.spec._replace(statistics=row_statistics(scaler)))


def load_data(
    dataset: DatasetSource,
    root: Path,
    *,
    validation_fraction: float,
    train_size: int | None = None,
    quantile_transform: bool = False,
) -> LoadedData:
    """Load a data set, split validation samples off its training samples, and scale rows.

    Args:
        dataset: data set, after ``prepare()``.
        root: folder of the cached data sets.
        validation_fraction: share of the training samples used for validation, in [0, 1), 0 for none; unused if the
            data set has validation samples.
        train_size: number of training samples to keep after the split; None keeps all.
        quantile_transform: whether rows are quantile-transformed before standardization.

    Raises:
        ConfigurationError: the data cannot be loaded, ``train_size`` is out of range, or all weights are 0.
    """
    source = dataset.load(root)
    splits = normalize_weights(_split_validation(source, validation_fraction, train_size, dataset.name), dataset.name)
    train = splits["train"]
    weighted = isinstance(train, TensorDataset) and train.weights is not None
    scaler, schema = None, None
    if isinstance(train, TensorDataset) and train.inputs.is_floating_point():
        scaler = RowScaler.fit(train.inputs, quantile_transform, source.one_hot_blocks)
        schema = source.schema or TableSchema.unnamed(train.inputs.shape[1])
        splits = _transform_inputs(splits, scaler.transform)
    statistics = channel_statistics(train) if scaler is None else row_statistics(scaler)
    names = () if source.schema is None else source.schema.names
    columns = () if names == TableSchema.unnamed(len(names)).names else names
    spec = DataSpec(source.train.sample_shape, source.num_classes, source.class_names, statistics, weighted, columns)
    return LoadedData(splits, spec, scaler, schema)


def _split_validation(
    source: DatasetSplits, validation_fraction: float, train_size: int | None, name: str
) -> dict[str, Split]:
    labels, num_classes = source.train.labels, source.num_classes
    if source.validation is None and validation_fraction > 0:
        kept, held_out = train_val_split(labels, num_classes, validation_fraction, train_size, name)
        return {"train": source.train.subset(kept), "val": source.train.subset(held_out), "test": source.test}
    train: Split = source.train
    if train_size is not None:
        train = train.subset(limit_train_size(labels, torch.arange(len(labels)), num_classes, train_size, name))
    validation = {} if source.validation is None else {"val": source.validation}
    return {"train": train, **validation, "test": source.test}


def _transform_inputs(splits: Mapping[str, Split], transform: Callable[[Tensor], Tensor]) -> dict[str, Split]:
    return {
        name: split.with_inputs(transform(split.inputs)) if isinstance(split, TensorDataset) else split
        for name, split in splits.items()
    }
