from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.errors import InputError
from ganmc_lightning.forests import StudentClassifier
from ganmc_lightning.forests.export import CModel, compile_c, to_c
from ganmc_lightning.forests.export.c_source import round_down

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler")


def expected(model, rows):
    regressor = not hasattr(model, "predict_proba")
    return model.predict(rows) if regressor else model.predict_proba(rows)


@needs_compiler
def test_answers_are_scikit_learns(model, edges, table, tmp_path):
    compiled = CModel(compile_c(to_c(model, tmp_path)))
    rows = np.concatenate([edges, table[0].astype(np.float32)])
    np.testing.assert_allclose(compiled.predict(rows), expected(model, rows), rtol=1e-12, atol=1e-12)
    assert compiled.n_outputs == expected(model, rows[:1]).shape[1]
    assert compiled.n_features_in_ == 5


def test_the_edges_would_show_thresholds_rounded_to_the_nearest(table, tmp_path):
    """So that the test above can fail: with such thresholds some of its rows take another way."""
    X = np.random.default_rng(0).normal(size=(400, 1)).astype(np.float32)
    tree = DecisionTreeRegressor(random_state=0).fit(X, np.arange(400) * 1.0)
    thresholds = tree.tree_.threshold[tree.tree_.children_left >= 0]
    rows = thresholds.astype(np.float32)
    exact, nearest, down = rows <= thresholds, rows <= thresholds.astype(np.float32), rows <= round_down(thresholds)
    assert (exact != nearest).any()
    assert (exact == down).all()


@needs_compiler
def test_more_rows_than_a_block(table, tmp_path):
    tree = DecisionTreeClassifier(random_state=0).fit(*table[:2])
    rows = np.random.default_rng(0).normal(size=(9000, 5)).astype(np.float32)
    compiled = CModel(compile_c(to_c(tree, tmp_path)))
    np.testing.assert_allclose(compiled.predict(rows), tree.predict_proba(rows), rtol=1e-12, atol=1e-12)
    assert compiled.predict(rows[:0]).shape == (0, 3)


@needs_compiler
def test_a_student_that_leaves_the_unit_interval(tmp_path):
    X = np.arange(6.0)[:, None]
    student = StudentClassifier(DecisionTreeRegressor().fit(X, [-0.5, 0, 0.3, 0.7, 1, 1.5]), [0, 1])
    expected = [[1, 0], [1, 0], [0.7, 0.3], [0.3, 0.7], [0, 1], [0, 1]]
    np.testing.assert_allclose(
        CModel(compile_c(to_c(student, tmp_path, "p"))).predict(X), expected, rtol=1e-12, atol=1e-12
    )
    three = StudentClassifier(DecisionTreeRegressor().fit(X[:2], [[3, 1, -1], [-1, -1, -1]]), [0, 1, 2])
    expected = [[0.5, 0.5, 0], [1 / 3] * 3]
    np.testing.assert_allclose(
        CModel(compile_c(to_c(three, tmp_path, "q"))).predict(X[:2]), expected, rtol=1e-12, atol=1e-12
    )


@needs_compiler
def test_a_leaf_alone(tmp_path):
    tree = DecisionTreeRegressor().fit([[0.0], [1.0]], [0.25, 0.25])
    assert CModel(compile_c(to_c(tree, tmp_path))).predict([[7.0]]).tolist() == [[0.25]]


@needs_compiler
def test_a_program_in_c_can_use_it(table, tmp_path):
    """As the header says, with every warning an error."""
    student = StudentClassifier(DecisionTreeRegressor(max_leaf_nodes=9).fit(table[0], table[2][:, 0]), [0, 1])
    source = to_c(student, tmp_path, "student")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "student.h"\n'
        "int main(void)\n{\n    float row[5] = {0.5f, -1, 2, 0, 1};\n    double out[2];\n"
        "    student_predict(row, 1, out);\n"
        '    printf("%d %d %.17g %.17g", student_features, student_outputs, out[0], out[1]);\n    return 0;\n}\n'
    )
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([compiler, *warnings, "-o", tmp_path / "run", tmp_path / "main.c", source], check=True)
    said = subprocess.run([tmp_path / "run"], check=True, capture_output=True, text=True).stdout.split()
    assert said[:2] == ["5", "2"]
    wanted = student.predict_proba(np.array([[0.5, -1, 2, 0, 1]], dtype=np.float32))
    assert [float(word) for word in said[2:]] == pytest.approx(wanted[0].tolist(), rel=1e-12, abs=1e-12)


@needs_compiler
def test_wrong_rows(table, tmp_path):
    compiled = CModel(compile_c(to_c(DecisionTreeClassifier().fit(*table[:2]), tmp_path)))
    with pytest.raises(InputError, match=r"X has shape \(1, 4\): rows must be \(N, 5\)"):
        compiled.predict([[0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LogisticRegression(), "LogisticRegression cannot be written as C"),
        (StudentClassifier(GradientBoostingRegressor(), [0, 1]), "GradientBoostingRegressor cannot be written as C"),
        (
            DecisionTreeClassifier().fit([[0], [1]], [[0, 0], [1, 1]]),
            "DecisionTreeClassifier has 2 outputs: one classifier an output can be written",
        ),
    ],
)
def test_other_models(model, message, tmp_path):
    with pytest.raises(InputError, match=message):
        to_c(model, tmp_path)


def test_a_name_that_is_none_in_c(table, tmp_path):
    with pytest.raises(InputError, match="'my model' is no name in C"):
        to_c(DecisionTreeClassifier().fit(*table[:2]), tmp_path, "my model")


def test_no_compiler(table, tmp_path, monkeypatch):
    source = to_c(DecisionTreeClassifier().fit(*table[:2]), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(InputError, match=r"no C compiler \(cc, gcc, clang\) is found: install one, or set CC"):
        compile_c(source)
    monkeypatch.setenv("CC", "mycc")
    with pytest.raises(InputError, match="CC names 'mycc', which is not found"):
        compile_c(source)


@needs_compiler
def test_a_source_that_does_not_compile(tmp_path):
    (tmp_path / "model.c").write_text("int x = ;\n")
    with pytest.raises(InputError, match=r"cannot compile .*model\.c: .*error"):
        compile_c(tmp_path / "model.c")
    assert [path.name for path in tmp_path.iterdir()] == ["model.c"]


@pytest.mark.skipif(sys.platform == "win32", reason="other messages there")
def test_no_library(tmp_path):
    (tmp_path / "model.so").write_text("no library")
    with pytest.raises(InputError, match=r"model\.so cannot be loaded as a compiled model"):
        CModel(tmp_path / "model.so")
