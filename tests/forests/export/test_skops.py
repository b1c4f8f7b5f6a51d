from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from ganmc_lightning.errors import InputError
from ganmc_lightning.forests.export import check_exports, load_skops, save_skops

pytest.importorskip("skops")


class Stranger(BaseEstimator):
    pass


def test_loaded_models_answer_alike(model, edges, tmp_path):
    again = load_skops(save_skops(model, tmp_path / "model.skops"))
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.predict(edges), model.predict(edges))


def test_foreign_types_are_not_built(tmp_path):
    file = save_skops(Stranger(), tmp_path / "model.skops")
    with pytest.raises(InputError, match=r"holds .*Stranger: name them in trusted if you know them"):
        load_skops(file)
    name = f"{Stranger.__module__}.Stranger"
    assert isinstance(load_skops(file, trusted=[name]), Stranger)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"model\.skops: no such file"):
        load_skops(tmp_path / "model.skops")


def test_a_damaged_file(tmp_path):
    (tmp_path / "model.skops").write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match=r"model\.skops cannot be read as a skops file"):
        load_skops(tmp_path / "model.skops")


def test_without_skops(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(InputError, match="skops is not installed"):
        save_skops(Stranger(), tmp_path / "model.skops")


def test_what_exports_need(monkeypatch):
    monkeypatch.setattr("ganmc_lightning.forests.export.check.find_spec", lambda name: None if name == "skops" else 1)
    with pytest.raises(InputError, match="exports need skops, which is not installed"):
        check_exports()
