"""The tables of the papers, by scikit-learn: built in, or downloaded from OpenML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.data.datasets.cached import CachedDataset
from ganmc_lightning.data.datasets.npz import ROW_ARRAYS
from ganmc_lightning.data.datasets.split import stratified_split
from ganmc_lightning.data.seeds import SPLIT_SEED

_ARRAYS = f"{ROW_ARRAYS}; or X, y"


class BreastCancer(CachedDataset):
    """scikit-learn's breast cancer table: 569 rows, 30 features, benign = 1; a fifth is the test part.

    It comes with scikit-learn, so this source works without a network.
    """

    name = "breast_cancer"
    arrays = _ARRAYS
    class_names = ("malignant", "benign")

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Return the rows; the test part is cut when they are loaded."""
        from sklearn.datasets import load_breast_cancer

        table = load_breast_cancer()
        return {
            "X": table.data,
            "y": table.target.astype(np.int64),
            "feature_names": np.array(table.feature_names, str),
        }


class MAGIC(CachedDataset):
    """MAGIC gamma telescope: 19,020 rows, 10 features, gamma = 1 (GAN-MC, section 4).

    The download is the whole table, cut here into 70 % and 30 %, seeded and stratified; the sizes are
    about the authors' (13,312 and 5,707) but not their split.
    """

    name = "magic"
    arrays = _ARRAYS
    class_names = ("hadron", "gamma")

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Download OpenML's data set 1120."""
        rows, target, names = _fetch_openml(1120, num_features=10)
        numbers = {"h": 0, "g": 1}
        labels = np.array([numbers[letter] for letter in target], dtype=np.int64)
        train, test = (part.numpy() for part in stratified_split(torch.from_numpy(labels), 0.3, SPLIT_SEED))
        return {
            "X_train": rows[train],
            "y_train": labels[train],
            "X_test": rows[test],
            "y_test": labels[test],
            "feature_names": names,
        }


class HIGGS(CachedDataset):
    """Higgs: 28 features of simulated collisions, signal = 1 (GAN-MC, section 4); a fifth is the test part.

    The download has 98,050 rows; those with missing values are left out.
    """

    name = "higgs"
    arrays = _ARRAYS
    class_names = ("background", "signal")

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Download OpenML's data set 23512; the test part is cut when it is loaded."""
        rows, target, names = _fetch_openml(23512, num_features=28)
        complete = np.isfinite(rows).all(axis=1)
        labels = target[complete].astype(np.int64)
        return {"X": rows[complete].astype(np.float32), "y": labels, "feature_names": names}


def _fetch_openml(data_id: int, num_features: int) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]:
    """Return the feature columns, the class of each row and the names of the columns, as OpenML has them.

    Raises:
        ValueError: the table has not ``num_features`` columns besides a row number.
    """
    from sklearn.datasets import fetch_openml

    # The pure-Python parser needs no pandas and gives the classes as strings, whatever they look like.
    table = fetch_openml(data_id=data_id, as_frame=False, parser="liac-arff", cache=False)
    # A row number tells the classes apart where the rows are sorted by class.
    columns = [i for i, name in enumerate(table.feature_names) if name.strip(":").lower() != "id"]
    if len(columns) != num_features:
        raise ValueError(f"OpenML data set {data_id} has {len(columns)} features instead of {num_features}")
    rows: NDArray[np.float64] = np.asarray(table.data, dtype=np.float64)[:, columns]
    names = np.array([table.feature_names[i].strip(":") for i in columns], dtype=np.str_)
    return rows, np.asarray(table.target, dtype=np.str_), names
