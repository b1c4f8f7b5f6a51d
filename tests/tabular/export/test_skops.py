from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export import check_exports, load_skops, save_skops

pytest.importorskip("skops")


class Untrusted(BaseEstimator):
    pass


def test_loaded_models_predict_equally(model, edges, tmp_path):
    again = load_skops(save_skops(model, tmp_path / "model.skops"))
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.predict(edges), model.predict(edges))


def test_nan_takes_the_same_branches(missing_model, missing_rows, tmp_path):
    again = load_skops(str(save_skops(missing_model, str(tmp_path / "model.skops"))))
    np.testing.assert_array_equal(again.predict(missing_rows), missing_model.predict(missing_rows))


def test_differing_exports_are_not_written(tmp_path, monkeypatch):
    tree, other = (DecisionTreeClassifier().fit([[0.0], [1.0]], y) for y in ([0, 1], [1, 0]))
    monkeypatch.setattr("skops.io.loads", lambda content, trusted: other)
    (tmp_path / "model.skops").write_text("an older export")
    with pytest.raises(ConfigurationError, match=r"model\.skops: not written, .* differ from"):
        save_skops(tree, tmp_path / "model.skops")
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]
    assert (tmp_path / "model.skops").read_text() == "an older export"


def test_models_that_cannot_be_verified_are_stored(tmp_path):
    """A model of strings does not accept numeric samples."""
    model = make_pipeline(OneHotEncoder(), DecisionTreeClassifier(random_state=0))
    model.fit(np.array([["a"], ["b"]]), [0, 1])
    assert load_skops(save_skops(model, tmp_path / "model.skops")).predict(np.array([["b"]])).tolist() == [1]


def test_unsupported_attributes(tmp_path):
    tree = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    tree.extra = (number for number in range(3))
    with pytest.raises(ConfigurationError, match="DecisionTreeClassifier cannot be stored by skops"):
        save_skops(tree, tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


def test_untrusted_types_are_not_created(tmp_path):
    file = save_skops(Untrusted(), tmp_path / "model.skops")
    with pytest.raises(ConfigurationError, match=r"contains untrusted types .*Untrusted; list them in trusted"):
        load_skops(file)
    name = f"{Untrusted.__module__}.Untrusted"
    assert isinstance(load_skops(file, trusted=[name]), Untrusted)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigurationError, match=r"model\.skops: file not found"):
        load_skops(tmp_path / "model.skops")


def test_a_damaged_file(tmp_path):
    (tmp_path / "model.skops").write_bytes(b"PK nonsense")
    with pytest.raises(ConfigurationError, match=r"model\.skops: cannot be read as a skops file"):
        load_skops(tmp_path / "model.skops")


def test_without_skops(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(ConfigurationError, match="exports require skops"):
        save_skops(Untrusted(), tmp_path / "model.skops")


def test_exports_require_skops(monkeypatch):
    monkeypatch.setattr("ganmc_lightning.io.dependencies.find_spec", lambda name: None if name == "skops" else 1)
    with pytest.raises(ConfigurationError, match="exports require skops"):
        check_exports()
