from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.multioutput import MultiOutputRegressor

from ganmc_lightning.errors import InputError
from ganmc_lightning.forests import ForestCompressor, StudentClassifier
from ganmc_lightning.forests.export import to_onnx

pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(model, rows, folder):
    file = to_onnx(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": rows.astype(np.float32)}), strict=True))


def test_answers_are_scikit_learns(model, edges, table, tmp_path):
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
def test_classes_of_every_type(binary, names, tmp_path):
    X, y = binary
    X = X.astype(np.float32)
    compressor = ForestCompressor(RandomForestClassifier(5), scenario="real", random_state=0).fit(X, names[y])
    labels = run(compressor.classifier_, X, tmp_path)["label"]
    assert np.mean(labels == compressor.predict(X)) > 0.99


def test_a_student_that_leaves_the_unit_interval(tmp_path):
    X, y = load_iris(return_X_y=True)
    student = MultiOutputRegressor(GradientBoostingRegressor(n_estimators=20, learning_rate=1.9, random_state=0))
    targets = np.eye(3)[y] * 1.5 - 0.3
    model = StudentClassifier(student.fit(X, targets), np.arange(3))
    assert student.predict(X).max() > 1
    X = X.astype(np.float32)
    np.testing.assert_allclose(run(model, X, tmp_path)["probabilities"], model.predict_proba(X), rtol=1e-4, atol=1e-4)


def test_unknown_models(tmp_path):
    class Mine(RandomForestClassifier):
        pass

    X, y = load_iris(return_X_y=True)
    with pytest.raises(InputError, match="Mine cannot be written as ONNX"):
        to_onnx(Mine(2).fit(X, y), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_skl2onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(InputError, match=r'ONNX needs skl2onnx: pip install "ganmc-lightning\[export\]"'):
        to_onnx(RandomForestClassifier(), tmp_path / "model.onnx")
