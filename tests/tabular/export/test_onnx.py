from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.multioutput import MultiOutputRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import DistilledClassifier, StudentClassifier
from ganmc_lightning.tabular.export import count_label_differences, onnx, to_onnx

pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(model, rows, folder):
    file = to_onnx(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": rows.astype(np.float32)}), strict=True))


def test_predictions_equal_scikit_learn(model, edges, table, tmp_path):
    rows = np.concatenate([edges, table[0].astype(np.float32)])
    made = run(model, rows, tmp_path)
    if is_classifier(model):
        np.testing.assert_allclose(made["probabilities"], model.predict_proba(rows), rtol=1e-5, atol=1e-5)
        clear = np.abs(np.diff(np.sort(made["probabilities"], axis=1)[:, -2:])).ravel() > 1e-6
        np.testing.assert_array_equal(made["label"][clear], model.predict(rows)[clear])
        assert clear.mean() > 0.9
    else:
        np.testing.assert_allclose(made["variable"], model.predict(rows), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "names", [np.array([False, True]), np.array([3, 7]), np.array([1.0, 2.0]), np.array(["no", "yes"])]
)
def test_label_types(binary, names, tmp_path):
    X, y = binary
    X = X.astype(np.float32)
    model = DistilledClassifier(RandomForestClassifier(5), "tree", random_state=0).fit(X, names[y])
    labels = run(model.classifier_, X, tmp_path)["label"]
    assert np.mean(labels == model.predict(X)) > 0.99


def test_nan_takes_the_branches_of_scikit_learn(missing_model, missing_rows, tmp_path):
    made = run(missing_model, missing_rows, tmp_path)
    if not is_classifier(missing_model):
        wanted = missing_model.predict(missing_rows)
        np.testing.assert_allclose(made["variable"].reshape(wanted.shape), wanted, atol=1e-5)
        return
    np.testing.assert_allclose(made["probabilities"], missing_model.predict_proba(missing_rows), atol=1e-5)
    assert np.mean(made["label"] == missing_model.predict(missing_rows)) > 0.95


def test_nan_in_several_ensembles(missing_rows, tmp_path):
    """skl2onnx writes one ensemble per output; trees are matched in order."""
    Y = np.random.default_rng(0).normal(size=(400, 3))
    model = MultiOutputRegressor(DecisionTreeRegressor(max_depth=5, random_state=0)).fit(missing_rows, Y)
    np.testing.assert_allclose(run(model, missing_rows, tmp_path)["variable"], model.predict(missing_rows), atol=1e-5)


def test_multiple_outputs(table, tmp_path):
    """skl2onnx neither rounds the thresholds of such a classifier nor declares the columns of such a regressor."""
    X, y, Y = table
    X = X.astype(np.float32)
    tree = DecisionTreeClassifier(random_state=0).fit(X, np.stack([y > 0, y > 1], axis=1).astype(int))
    np.testing.assert_array_equal(run(tree, X, tmp_path)["label"], tree.predict(X))
    file = to_onnx(DecisionTreeRegressor(max_depth=3).fit(X, Y), tmp_path / "values.onnx")
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].shape[1] == 3


def test_a_tie_in_one_of_multiple_outputs(tmp_path):
    X = np.arange(40.0)[:, None] % 5
    Y = np.random.default_rng(0).integers(0, 2, (40, 2))
    forest = RandomForestClassifier(6, max_depth=1, random_state=0).fit(X, Y)
    made = run(forest, X, tmp_path)
    np.testing.assert_allclose(np.array(made["probabilities"]), np.array(forest.predict_proba(X)), atol=1e-6)


def test_infinities_take_the_branches_of_scikit_learn(tmp_path):
    tree = DecisionTreeClassifier().fit([[0.0], [1.0], [np.nan], [np.nan]], [0, 0, 1, 1])
    assert np.isinf(tree.tree_.threshold[0])
    rows = np.array([[np.nan], [np.inf], [-np.inf], [3e38]])
    assert run(tree, rows, tmp_path)["label"].tolist() == [1, 0, 0, 0]


@pytest.fixture(scope="module")
def tied():
    """A forest of few distinct samples and random classes, with nearly tied probabilities."""
    X = np.random.default_rng(0).integers(0, 2, (200, 4)).astype(np.float64)
    y = np.random.default_rng(1).integers(0, 3, 200)
    return RandomForestClassifier(9, max_features=1, random_state=0).fit(X, y), X


def test_differing_labels_are_counted(tied, tmp_path, monkeypatch):
    model, X = tied
    monkeypatch.setattr(onnx, "labels_differ", lambda labels, others: np.arange(len(labels)) < 3)
    with pytest.warns(UserWarning, match=r"model\.onnx: the label differs from scikit-learn's for 3 of 200 samples"):
        file = to_onnx(model, str(tmp_path / "model.onnx"), X)
    assert count_label_differences(model, file, X) == 3


def test_the_count_matches_the_file(tied, tmp_path):
    model, X = tied
    file = to_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    wanted = int((session.run(["label"], {"X": X.astype(np.float32)})[0] != model.predict(X)).sum())
    assert count_label_differences(model, str(file), X) == wanted
    other = RandomForestClassifier(3, random_state=1).fit(X, 2 - np.arange(200) % 3)
    assert count_label_differences(other, file, X) > 20
    regressor = DecisionTreeRegressor().fit(X, X[:, 0])
    assert count_label_differences(regressor, to_onnx(regressor, tmp_path / "r.onnx", X), X) == 0


def test_invalid_samples_and_files(tied, tmp_path):
    model, X = tied
    with pytest.raises(ConfigurationError, match=r"X: got shape \(200, 3\), expected \(N, 4\)"):
        to_onnx(model, tmp_path / "model.onnx", X[:, :3])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError, match=r"model\.onnx: file not found"):
        count_label_differences(model, tmp_path / "model.onnx", X)
    narrow = to_onnx(DecisionTreeClassifier().fit(X[:, :1], X[:, 0]), tmp_path / "narrow.onnx")
    with pytest.raises(ConfigurationError, match=r"narrow\.onnx: cannot be run on samples of shape \(200, 4\): "):
        count_label_differences(model, narrow, X)
    (tmp_path / "model.onnx").write_text("no graph")
    with pytest.raises(ConfigurationError, match=r"model\.onnx: cannot be run as ONNX"):
        count_label_differences(model, tmp_path / "model.onnx", X)


def test_differing_exports_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "round_down", lambda thresholds: thresholds.astype(np.float32))
    X = np.random.default_rng(0).normal(size=(400, 1)).astype(np.float32)
    tree = DecisionTreeRegressor(random_state=0).fit(X, np.arange(400) * 1.0)
    (tmp_path / "model.onnx").write_text("an older export")
    with pytest.raises(ConfigurationError, match=r"model\.onnx: not written, .* differ from"):
        to_onnx(tree, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_text() == "an older export"


def test_unfitted_models(tmp_path):
    with pytest.raises(NotFittedError, match="RandomForestClassifier instance is not fitted"):
        to_onnx(RandomForestClassifier(), tmp_path / "model.onnx")


def test_values_outside_the_unit_interval(tmp_path):
    X, y = load_iris(return_X_y=True)
    student = MultiOutputRegressor(GradientBoostingRegressor(n_estimators=20, learning_rate=1.9, random_state=0))
    targets = np.eye(3)[y] * 1.5 - 0.3
    model = StudentClassifier(student.fit(X, targets), np.arange(3))
    assert student.predict(X).max() > 1
    X = X.astype(np.float32)
    np.testing.assert_allclose(run(model, X, tmp_path)["probabilities"], model.predict_proba(X), rtol=1e-4, atol=1e-4)


def test_unsupported_models(tmp_path):
    class Mine(RandomForestClassifier):
        pass

    X, y = load_iris(return_X_y=True)
    with pytest.raises(ConfigurationError, match="model: Mine cannot be converted to ONNX"):
        to_onnx(Mine(2).fit(X, y), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["skl2onnx", "onnxruntime"])
def test_without_a_package(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ConfigurationError, match=rf'exports require {package}: pip install "ganmc-lightning\[export\]"'
    ):
        to_onnx(RandomForestClassifier(), tmp_path / "model.onnx")
