"""ONNX and skops files of boosted models."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export import (
    count_label_differences,
    encode_samples,
    load_skops,
    onnx_boosting,
    save_skops,
    to_onnx,
)
from ganmc_lightning.tabular.export.boosting import flatten_boosting
from ganmc_lightning.tabular.export.fixed_point import to_single


def run(file, rows):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": rows.astype(np.float32)}), strict=True))


def test_onnx_predictions_equal_scikit_learn(boosted, boosted_rows, tmp_path):
    pytest.importorskip("skl2onnx")
    rows = to_single(boosted_rows(boosted))
    rows = rows[~np.isinf(rows).any(axis=1)]
    assert np.isnan(rows).any()
    made = run(to_onnx(boosted, tmp_path / "model.onnx"), rows)
    if not is_classifier(boosted):
        wanted = boosted.predict(rows).reshape(len(rows), -1)
        np.testing.assert_allclose(made["variable"], wanted, rtol=1e-5, atol=1e-5)
        return
    np.testing.assert_allclose(made["probabilities"], boosted.predict_proba(rows), rtol=1e-5, atol=1e-5)
    assert np.mean(made["label"] == boosted.predict(rows)) > 0.999


@pytest.mark.parametrize("kind", ["two", "three"])
def test_onnx_students(kind, boosted_students, tmp_path):
    pytest.importorskip("skl2onnx")
    models, X = boosted_students
    X = X.astype(np.float32)
    file = to_onnx(models[kind], tmp_path / "model.onnx", X)
    made = run(file, X)
    np.testing.assert_allclose(made["probabilities"], models[kind].predict_proba(X), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(made["label"], models[kind].predict(X))
    assert count_label_differences(models[kind], file, X) == 0


def test_onnx_students_with_a_classifier(codes_student, mixed_table, tmp_path):
    pytest.importorskip("skl2onnx")
    X = mixed_table(seed=2)[0].astype(np.float32)
    made = run(to_onnx(codes_student, tmp_path / "model.onnx"), X)
    np.testing.assert_allclose(made["probabilities"], codes_student.predict_proba(X), rtol=1e-5, atol=1e-5)
    assert np.mean(made["label"] == codes_student.predict(X)) > 0.99


def test_text_categories(mixed_table, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("skl2onnx")
    pytest.importorskip("skops")
    X, score = mixed_table()
    names = np.array(["blue", "green", "red", "tan", "white"], dtype=object)[np.nan_to_num(X[:, 1]).astype(int)]
    table = pandas.DataFrame({"size": X[:, 0].astype(np.float32), "color": pandas.Categorical(names)})
    table.loc[:20, "color"] = None
    model = HistGradientBoostingClassifier(max_iter=6).fit(table, score > 1)
    file = to_onnx(model, tmp_path / "model.onnx", table)
    made = run(file, encode_samples(model, table))
    np.testing.assert_allclose(made["probabilities"], model.predict_proba(table), rtol=1e-5, atol=1e-5)
    again = load_skops(save_skops(model, tmp_path / "model.skops"))
    np.testing.assert_array_equal(again.predict_proba(table), model.predict_proba(table))


def test_skops_predictions_are_equal(boosted, boosted_rows, tmp_path):
    pytest.importorskip("skops")
    again = load_skops(save_skops(boosted, tmp_path / "model.skops"))
    rows = boosted_rows(boosted)
    np.testing.assert_array_equal(again.predict(rows), boosted.predict(rows))


def test_other_links(mixed_table, tmp_path):
    X, score = mixed_table()
    model = HistGradientBoostingRegressor(loss="gamma", max_iter=2).fit(X, score - score.min() + 1)
    pytest.importorskip("skops")
    again = load_skops(save_skops(model, tmp_path / "model.skops"))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    pytest.importorskip("skl2onnx")
    with pytest.raises(ConfigurationError, match="HistGradientBoostingRegressor with loss 'gamma', expected"):
        to_onnx(model, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]


@pytest.mark.parametrize("kind", ["binary", "multiclass, categories"])
def test_differing_onnx_files_are_not_written(kind, boosted_kinds, tmp_path, monkeypatch):
    """The branch of missing values and unknown categories is inverted."""
    pytest.importorskip("skl2onnx")
    model = boosted_kinds[kind]()
    flat = flatten_boosting(model)
    flat.missing_left[:] = ~flat.missing_left
    monkeypatch.setattr("ganmc_lightning.tabular.export.onnx.flatten_boosting", lambda model: flat)
    with pytest.raises(ConfigurationError, match=r"model\.onnx: not written, .* differ from"):
        to_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_onnx_thresholds_are_rounded_down(tmp_path, monkeypatch):
    pytest.importorskip("skl2onnx")
    X = np.random.default_rng(0).normal(size=(400, 1))
    model = HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=2).fit(X, np.arange(400) % 7)
    assert to_onnx(model, tmp_path / "model.onnx").is_file()
    monkeypatch.setattr(onnx_boosting, "round_down", lambda thresholds: thresholds.astype(np.float32))
    with pytest.raises(ConfigurationError, match=r"model\.onnx: not written"):
        to_onnx(model, tmp_path / "model.onnx")
