from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

from ganmc_lightning.data import datasets
from ganmc_lightning.data.datasets import HIGGS, MAGIC, BreastCancer
from ganmc_lightning.exceptions import ConfigurationError


def openml(monkeypatch: pytest.MonkeyPatch, data: np.ndarray, names: list[str], target: list[str]) -> None:
    def fetch(*, data_id: int, as_frame: bool, parser: str, cache: bool) -> SimpleNamespace:
        assert not as_frame
        return SimpleNamespace(data=data, feature_names=names, target=np.array(target, dtype=object))

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)


def test_breast_cancer(tmp_path: Path) -> None:
    from sklearn.datasets import load_breast_cancer

    source = BreastCancer()
    source.prepare(tmp_path)
    splits = source.load(tmp_path)
    assert len(splits.train) + len(splits.test) == 569
    assert splits.test.labels.bincount().tolist() == [round(0.2 * 212), round(0.2 * 357)]
    together = torch.cat([splits.train.inputs, splits.test.inputs]).double().mean(0)
    assert together.numpy() == pytest.approx(load_breast_cancer().data.mean(0), rel=1e-4, abs=1e-6)
    assert splits.class_names == ("malignant", "benign")
    assert splits.schema is not None
    assert splits.schema.names[:2] == ("mean radius", "mean texture")


def test_magic_leaves_the_row_number_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    data = np.column_stack([np.arange(100) + 1000, rng.normal(size=(100, 10))])
    openml(monkeypatch, data, ["ID", *(f"f{i}:" for i in range(10))], ["g"] * 60 + ["h"] * 40)
    source = MAGIC()
    source.prepare(tmp_path)
    splits = source.load(tmp_path)
    assert splits.train.inputs.shape == (70, 10)
    assert splits.train.inputs.max() < 1000
    assert splits.train.labels.bincount().tolist() == [28, 42]
    assert splits.class_names == ("hadron", "gamma")
    first = splits.train.inputs[splits.train.labels == 1][:, 0].tolist()
    assert set(first) <= set(data[:60, 1].tolist())
    assert splits.schema is not None
    assert splits.schema.names == tuple(f"f{i}" for i in range(10))


def test_higgs_leaves_incomplete_rows_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).normal(size=(51, 28))
    data[50, 20:] = np.nan
    openml(monkeypatch, data, [f"f{i}" for i in range(28)], ["1", "0"] * 25 + ["1"])
    source = HIGGS()
    source.prepare(tmp_path)
    splits = source.load(tmp_path)
    assert (len(splits.train), len(splits.test)) == (40, 10)
    assert splits.train.labels.bincount().tolist() == [20, 20]


def test_another_table_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openml(monkeypatch, np.zeros((4, 9)), [f"f{i}" for i in range(9)], ["g", "h"] * 2)
    with pytest.raises(ConfigurationError, match=r"cannot download magic \(.*got 9 features, expected 10"):
        MAGIC().prepare(tmp_path)


@pytest.mark.parametrize("name", ["MAGIC", "HIGGS"])
def test_failed_download_error_describes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(**kwargs: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fail)
    source = getattr(datasets, name)()
    with pytest.raises(ConfigurationError) as caught:
        source.prepare(tmp_path)
    assert f"put {source.name}.npz (X_train (N, D), y_train, X_test, y_test; or X, y) into {tmp_path}" in str(
        caught.value
    )


@pytest.mark.parametrize(("name", "sizes"), [("MAGIC", (13_312, 5_707)), ("HIGGS", None)])
def test_real_data(name: str, sizes: tuple[int, int] | None) -> None:
    source = getattr(datasets, name)()
    root = Path(os.environ.get("GANMC_DATA", "absent"))
    if not source.file(root).exists():
        pytest.skip(f"needs {source.name}.npz in $GANMC_DATA")
    splits = source.load(root)
    assert splits.num_classes == 2
    if sizes:
        assert (len(splits.train), len(splits.test)) == sizes
