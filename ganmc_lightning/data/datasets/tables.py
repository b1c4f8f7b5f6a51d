"""Tabular data sets of the papers, part of scikit-learn or downloaded from OpenML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.data.datasets.cached import CachedDataset, NpzArrays
from ganmc_lightning.data.datasets.npz import ROW_ARRAYS
from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.data.splits import stratified_split

_ARRAYS = f"{ROW_ARRAYS}; or X, y"


class BreastCancer(CachedDataset):
    """scikit-learn's breast cancer table: 569 rows, 30 features, benign = 1; a fifth are test rows.

    It is included in scikit-learn, so nothing is downloaded.

    Example:
        >>> import tempfile
        >>> dataset, root = BreastCancer(), Path(tempfile.mkdtemp())
        >>> dataset.prepare(root)
        >>> splits = dataset.load(root)
        >>> len(splits.train), len(splits.test), splits.schema.names[0]
        (456, 113, 'mean radius')
    """

    name = "breast_cancer"
    expected_arrays = _ARRAYS
    class_names = ("malignant", "benign")

    def fetch(self, root: Path) -> NpzArrays:
        """Return all rows; the test split is drawn by ``load``."""
        from sklearn.datasets import load_breast_cancer

        table = load_breast_cancer()
        return {
            "X": table.data,
            "y": table.target.astype(np.int64),
            "feature_names": np.array(table.feature_names, str),
        }


class MAGIC(CachedDataset):
    """MAGIC gamma telescope: 19,020 rows, 10 features, gamma = 1 (GAN-MC, section 4).

    The table is split into 70 % and 30 %, seeded and stratified. The sizes are about those of the authors (13,312 and
    5,707), but the split differs.
    """

    name = "magic"
    expected_arrays = _ARRAYS
    class_names = ("hadron", "gamma")

    def fetch(self, root: Path) -> NpzArrays:
        """Download OpenML's data set 1120."""
        rows, target, names = _fetch_openml(1120, num_features=10)
        numbers = {"h": 0, "g": 1}
        labels = np.array([numbers[letter] for letter in target], dtype=np.int64)
        train, test = (indices.numpy() for indices in stratified_split(torch.from_numpy(labels), 0.3, SPLIT_SEED))
        return {
            "X_train": rows[train],
            "y_train": labels[train],
            "X_test": rows[test],
            "y_test": labels[test],
            "feature_names": names,
        }


class HIGGS(CachedDataset):
    """Higgs: 28 features of simulated collisions, signal = 1 (GAN-MC, section 4); a fifth are test rows.

    The download has 98,050 rows; rows with missing values are removed.
    """

    name = "higgs"
    expected_arrays = _ARRAYS
    class_names = ("background", "signal")

    def fetch(self, root: Path) -> NpzArrays:
        """Download OpenML's data set 23512; the test split is drawn by ``load``."""
        rows, target, names = _fetch_openml(23512, num_features=28)
        complete = np.isfinite(rows).all(axis=1)
        labels = target[complete].astype(np.int64)
        return {"X": rows[complete].astype(np.float32), "y": labels, "feature_names": names}


def _fetch_openml(data_id: int, num_features: int) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]:
    """Return the feature columns, the class of each row and the column names of an OpenML table.

    Raises:
        ValueError: the table does not have ``num_features`` columns in addition to a row number.
    """
    from sklearn.datasets import fetch_openml

    # The pure-Python parser does not require pandas and always returns the classes as strings.
    table = fetch_openml(data_id=data_id, as_frame=False, parser="liac-arff", cache=False)
    # Row numbers reveal the class if rows are sorted by class.
    columns = [i for i, name in enumerate(table.feature_names) if name.strip(":").lower() != "id"]
    if len(columns) != num_features:
        raise ValueError(f"OpenML data set {data_id}: got {len(columns)} features, expected {num_features}")
    rows: NDArray[np.float64] = np.asarray(table.data, dtype=np.float64)[:, columns]
    names = np.array([table.feature_names[i].strip(":") for i in columns], dtype=np.str_)
    return rows, np.asarray(table.target, dtype=np.str_), names
