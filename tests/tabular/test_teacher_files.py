from __future__ import annotations

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import load_teacher
from ganmc_lightning.tabular.export import save_skops


@pytest.fixture(scope="module")
def forest(binary):
    return RandomForestClassifier(3, max_depth=3, random_state=0).fit(*binary)


def test_skops(binary, forest, tmp_path):
    path = save_skops(forest, tmp_path / "forest.skops")
    np.testing.assert_array_equal(load_teacher(path).predict_proba(binary[0]), forest.predict_proba(binary[0]))


def test_untrusted_skops(binary, tmp_path):
    model = make_pipeline(FunctionTransformer(copy.copy), RandomForestClassifier(2)).fit(*binary)
    path = save_skops(model, tmp_path / "model.skops")
    with pytest.raises(ConfigurationError, match=r"untrusted types copy\.copy"):
        load_teacher(path)
    np.testing.assert_array_equal(load_teacher(path, trust=True).predict(binary[0]), model.predict(binary[0]))


@pytest.mark.parametrize("suffix", ["joblib", "pkl", "pickle"])
def test_pickle_needs_trust(forest, binary, tmp_path, suffix):
    path = tmp_path / f"forest.{suffix}"
    if suffix == "joblib":
        joblib.dump(forest, path)
    else:
        path.write_bytes(pickle.dumps(forest))
    with pytest.raises(ConfigurationError, match="a pickle runs code when it is loaded; pass --trust"):
        load_teacher(path)
    np.testing.assert_array_equal(
        load_teacher(path, trust=True).predict_proba(binary[0]), forest.predict_proba(binary[0])
    )


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("classes", [2, 3])
def test_xgboost(binary, three, tmp_path, suffix, classes):
    xgboost = pytest.importorskip("xgboost")
    X, y = binary if classes == 2 else three
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(frame, y)
    model.save_model(tmp_path / f"model.{suffix}")
    names = ["no", "yes", "zero"][:classes]
    loaded = load_teacher(tmp_path / f"model.{suffix}", names)
    np.testing.assert_allclose(loaded.predict_proba(frame), model.predict_proba(frame))
    assert loaded.predict(frame).tolist() == [names[code] for code in model.predict(frame)]
    assert list(loaded.feature_names_in_) == list("abcdef")
    with pytest.raises(ConfigurationError, match=f"the model has {classes} classes, the target has 1"):
        load_teacher(tmp_path / f"model.{suffix}", ["no"])


def test_xgboost_regressor(binary, tmp_path):
    xgboost = pytest.importorskip("xgboost")
    X, y = binary
    model = xgboost.XGBRegressor(n_estimators=3, n_jobs=1).fit(X, y)
    model.save_model(tmp_path / "model.json")
    np.testing.assert_allclose(load_teacher(tmp_path / "model.json").predict(X), model.predict(X))


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_lightgbm(binary, three, tmp_path, classes):
    lightgbm = pytest.importorskip("lightgbm")
    X, y = three if classes == 3 else binary
    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    model = kind(n_estimators=3, verbose=-1, n_jobs=1).fit(X, y)
    model.booster_.save_model(tmp_path / "model.txt")
    loaded = load_teacher(tmp_path / "model.txt", list(range(classes)))
    if classes:
        np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X))
        assert loaded.feature_names_in_ is None
    else:
        np.testing.assert_allclose(loaded.predict(X), model.booster_.predict(X))


def test_lightgbm_columns_with_spaces(binary, tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    columns = ["mean radius", *"abcde"]
    X = pd.DataFrame(binary[0], columns=columns)
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, binary[1])
    model.booster_.save_model(tmp_path / "model.txt")
    loaded = load_teacher(tmp_path / "model.txt", [0, 1], columns=columns)
    assert loaded.feature_names_in_.tolist() == columns
    np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.h5", "got the suffix '.h5'"),
        ("none.skops", "file not found"),
        ("text.skops", "cannot be read as a skops file"),
        ("text.pkl", "cannot be unpickled"),
    ],
)
def test_errors(tmp_path, name, message):
    if name.startswith("text"):
        (tmp_path / name).write_text("text")
    with pytest.raises(ConfigurationError, match=message):
        load_teacher(tmp_path / name, trust=True)
