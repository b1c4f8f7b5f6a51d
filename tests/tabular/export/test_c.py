from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import StudentClassifier
from ganmc_lightning.tabular.export import CModel, arrays, c_source, compile_c, to_c
from ganmc_lightning.tabular.export.c_library import find_compiler, measure_object
from ganmc_lightning.tabular.export.probes import SPECIAL
from ganmc_lightning.tabular.profiling import trees_of

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler")


def expected(model, rows):
    regressor = not hasattr(model, "predict_proba")
    return model.predict(rows) if regressor else model.predict_proba(rows)


@needs_compiler
def test_predictions_equal_scikit_learn(model, edges, table, tmp_path):
    compiled = CModel(compile_c(to_c(model, tmp_path)))
    rows = np.concatenate([edges, table[0].astype(np.float32)])
    np.testing.assert_allclose(compiled.predict(rows), expected(model, rows), rtol=1e-12, atol=1e-12)
    assert compiled.n_outputs == expected(model, rows[:1]).shape[1]
    assert compiled.n_features_in_ == 5


@needs_compiler
def test_nan_and_infinities_take_the_branches_of_scikit_learn(missing_model, missing_rows, tmp_path):
    """Includes NaN at infinite thresholds. Public predict rejects infinities, so the reference is the inner tree."""
    rng = np.random.default_rng(2)
    unusual = np.where(rng.random(missing_rows.shape) < 0.3, rng.choice(SPECIAL, missing_rows.shape), missing_rows)
    compiled = CModel(compile_c(to_c(missing_model, tmp_path / "m.c")))
    np.testing.assert_array_equal(
        compiled.predict(missing_rows), expected(missing_model, missing_rows).reshape(len(missing_rows), -1)
    )
    trees = trees_of(missing_model)
    wanted = sum(tree.tree_.predict(unusual).reshape(len(unusual), -1) for tree in trees) / len(trees)
    np.testing.assert_allclose(compiled.predict(unusual), wanted, rtol=1e-12, atol=1e-12)
    if hasattr(missing_model, "classes_"):
        labels = missing_model.classes_[compiled.labels(missing_rows)]
        np.testing.assert_array_equal(labels, missing_model.predict(missing_rows))


@needs_compiler
def test_only_nan_takes_the_right_child_of_an_infinite_threshold(tmp_path):
    tree = DecisionTreeClassifier().fit([[0.0], [1.0], [np.nan], [np.nan]], [0, 0, 1, 1])
    assert np.isinf(tree.tree_.threshold[0])
    compiled = CModel(compile_c(to_c(tree, tmp_path)))
    assert compiled.labels([[np.nan], [np.inf], [-np.inf], [3e38]]).tolist() == [1, 0, 0, 0]


@needs_compiler
def test_subnormal_thresholds(tmp_path):
    tree = DecisionTreeRegressor().fit([[-1.0], [1.0]], [0, 1])
    tree.tree_.threshold[0] = 2e-45  # between two float32
    X = np.array([[-1], [0], [1.4e-45], [2.8e-45], [1]], dtype=np.float32)
    assert tree.predict(X).tolist() == [0, 0, 0, 1, 1]
    assert CModel(compile_c(to_c(tree, tmp_path))).predict(X)[:, 0].tolist() == [0, 0, 0, 1, 1]


@needs_compiler
@pytest.mark.parametrize("classes", [2, 3, 9, 20])
def test_student_predictions_equal_scikit_learn_exactly(classes, tmp_path):
    """Includes 8 or more classes, where the summation order of NumPy is not sequential."""
    rng = np.random.default_rng(classes)
    X, Y = rng.normal(size=(300, 3)).astype(np.float32), rng.dirichlet(np.ones(classes), 300)
    names = [f"class {number}" for number in range(classes)]
    forest = RandomForestRegressor(3, max_depth=5, random_state=0).fit(X, Y[:, 1] if classes == 2 else Y)
    student = StudentClassifier(forest, names)
    compiled = CModel(compile_c(to_c(student, tmp_path)))
    np.testing.assert_array_equal(compiled.predict(X), student.predict_proba(X))
    np.testing.assert_array_equal(np.array(names)[compiled.labels(X)], student.predict(X))


@needs_compiler
def test_ties_predict_the_first_class(tmp_path):
    tree = DecisionTreeClassifier().fit([[0.0], [0.0], [0.0], [0.0]], [5, 7, 9, 9])
    forest = RandomForestClassifier(6, max_depth=1, random_state=0).fit(np.arange(8.0)[:, None] % 2, [0, 1] * 4)
    rows = np.array([[0], [1]], dtype=np.float32)
    for model in (tree, forest):
        compiled = CModel(compile_c(to_c(model, tmp_path)))
        assert model.classes_[compiled.labels(rows)].tolist() == model.predict(rows).tolist()


@needs_compiler
def test_a_regressor_has_no_labels(tmp_path):
    compiled = CModel(compile_c(to_c(DecisionTreeRegressor().fit([[0.0], [1.0]], [0, 1]), tmp_path)))
    with pytest.raises(ConfigurationError, match=r"model\.\w+: a regressor has no labels; call predict"):
        compiled.labels([[0.0]])


@needs_compiler
def test_a_recompiled_library_is_reloaded(tmp_path):
    made = []
    for value in (1.0, 2.0):
        tree = DecisionTreeRegressor().fit([[0.0]], [value])
        made.append(CModel(compile_c(to_c(tree, tmp_path))))
    assert [model.predict([[0.0]]).item() for model in made] == [1.0, 2.0]


def test_paths_as_strings(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = DecisionTreeClassifier(max_depth=2).fit(*table[:2])
    assert to_c(tree, "t.c") == Path("t.c")
    assert to_c(tree, "folder", "named") == Path("folder", "named.c")
    assert to_c(tree, "folder") == Path("folder", "model.c")
    assert {path.name for path in Path("folder").iterdir()} == {"model.c", "model.h", "named.c", "named.h"}
    assert "void t_predict" in Path("t.h").read_text()
    with pytest.raises(ConfigurationError, match=r"name: got 'n' in addition to the file t\.c, expected a folder"):
        to_c(tree, "t.c", "n")


@needs_compiler
def test_a_library_path_as_a_string(table, tmp_path):
    source = to_c(DecisionTreeClassifier(max_depth=2).fit(*table[:2]), str(tmp_path / "t.c"))
    assert CModel(str(compile_c(str(source)))).n_outputs == 3


def test_the_header_lists_features_and_classes(tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame([[0.0, 1.0], [1.0, 0.0]], columns=["age", "*/ #error é\n"])
    header = to_c(DecisionTreeClassifier().fit(X, ["no", "yes"]), tmp_path).with_suffix(".h").read_text("ascii")
    assert " *   0  'age'\n *   1  '* / #error \\xe9\\n'\n" in header
    assert " *   0  'no'\n *   1  'yes'\n" in header
    assert "NaN is a missing value" in header
    student = StudentClassifier(DecisionTreeRegressor().fit(X.to_numpy(), [0, 1]), [3, 7])
    header = to_c(student, tmp_path).with_suffix(".h").read_text("ascii")
    assert "Features: 0 to 1, without names." in header
    assert " *   0  3\n *   1  7\n" in header
    assert "NaN is a missing value" in header


@pytest.fixture
def rounds_to_nearest(monkeypatch):
    """Inject a rounding error that affects few samples."""
    monkeypatch.setattr(arrays, "round_down", lambda thresholds: thresholds.astype(np.float32))
    X = np.random.default_rng(0).normal(size=(400, 1)).astype(np.float32)
    return DecisionTreeRegressor(random_state=0).fit(X, np.arange(400) * 1.0)


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_compiler), False])
def test_differing_exports_are_not_written(rounds_to_nearest, compiled, tmp_path, monkeypatch):
    if not compiled:
        monkeypatch.setattr(c_source, "has_compiler", lambda: False)
    (tmp_path / "model.c").write_text("an older export")
    with pytest.raises(ConfigurationError, match=r"model\.c: not written, .* differ from"):
        to_c(rounds_to_nearest, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.c"]
    assert (tmp_path / "model.c").read_text() == "an older export"


def test_arrays_are_compared_without_a_compiler(model, tmp_path, monkeypatch):
    monkeypatch.setattr(c_source, "has_compiler", lambda: False)
    assert to_c(model, tmp_path).is_file()


def test_a_subclass_with_other_predictions_is_rejected(table, tmp_path):
    class Sharpened(RandomForestClassifier):
        def predict_proba(self, X):
            sharp = super().predict_proba(X) ** 2
            return sharp / sharp.sum(axis=1, keepdims=True)

    with pytest.raises(ConfigurationError, match=r"model\.c: not written, .*Sharpened: \d+ of \d+ samples"):
        to_c(Sharpened(3, max_depth=3, random_state=0).fit(*table[:2]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created(table, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"model\.[ch]: cannot be written \(.*file is a file\)"):
        to_c(DecisionTreeClassifier(max_depth=1).fit(*table[:2]), tmp_path / "file")


@needs_compiler
def test_more_samples_than_a_block(table, tmp_path):
    tree = DecisionTreeClassifier(random_state=0).fit(*table[:2])
    rows = np.random.default_rng(0).normal(size=(9000, 5)).astype(np.float32)
    compiled = CModel(compile_c(to_c(tree, tmp_path)))
    np.testing.assert_allclose(compiled.predict(rows), tree.predict_proba(rows), rtol=1e-12, atol=1e-12)
    assert compiled.predict(rows[:0]).shape == (0, 3)


@needs_compiler
def test_values_outside_the_unit_interval(tmp_path):
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
def test_a_single_leaf(tmp_path):
    tree = DecisionTreeRegressor().fit([[0.0], [1.0]], [0.25, 0.25])
    assert CModel(compile_c(to_c(tree, tmp_path))).predict([[7.0]]).tolist() == [[0.25]]


@needs_compiler
def test_a_c_program_predicts(table, tmp_path):
    """Compiled with every warning as an error."""
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
    printed = subprocess.run([tmp_path / "run"], check=True, capture_output=True, text=True).stdout.split()
    assert printed[:2] == ["5", "2"]
    wanted = student.predict_proba(np.array([[0.5, -1, 2, 0, 1]], dtype=np.float32))
    assert [float(word) for word in printed[2:]] == pytest.approx(wanted[0].tolist(), rel=1e-12, abs=1e-12)


@needs_compiler
def test_wrong_shape(table, tmp_path):
    compiled = CModel(compile_c(to_c(DecisionTreeClassifier().fit(*table[:2]), tmp_path)))
    with pytest.raises(ConfigurationError, match=r"X: got shape \(1, 4\), expected \(N, 5\)"):
        compiled.predict([[0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LogisticRegression(), "model: got LogisticRegression, C export supports"),
        (
            StudentClassifier(DecisionTreeRegressor().fit([[0], [1]], [0, 1]), ["a", "b", "c"]),
            "classes: got 3, expected 2, one per probability",
        ),
        (
            StudentClassifier(GradientBoostingRegressor(), [0, 1]),
            "model: got GradientBoostingRegressor, C export supports",
        ),
        (
            DecisionTreeClassifier().fit([[0], [1]], [[0, 0], [1, 1]]),
            "model: got DecisionTreeClassifier with 2 outputs",
        ),
    ],
)
def test_unsupported_models(model, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        to_c(model, tmp_path)


def test_unfitted_models(tmp_path):
    with pytest.raises(NotFittedError, match="RandomForestClassifier instance is not fitted"):
        to_c(RandomForestClassifier(), tmp_path)


def test_a_name_that_is_not_a_c_identifier(table, tmp_path):
    with pytest.raises(ConfigurationError, match="name: got 'my model', expected a C identifier"):
        to_c(DecisionTreeClassifier().fit(*table[:2]), tmp_path, "my model")


def test_no_compiler(table, tmp_path, monkeypatch):
    source = to_c(DecisionTreeClassifier().fit(*table[:2]), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ConfigurationError, match=r"no C compiler \(cc, gcc, clang\) found; install one or set CC"):
        compile_c(source)
    monkeypatch.setenv("CC", "mycc")
    with pytest.raises(ConfigurationError, match="CC: 'mycc' not found"):
        compile_c(source)


@needs_compiler
def test_a_failing_size_program(tmp_path, monkeypatch):
    source, program = tmp_path / "one.c", tmp_path / "bin" / "size"
    source.write_text("int one(void) { return 1; }\n", encoding="utf-8")
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with pytest.raises(ConfigurationError, match=r"one\.c: .*size failed: status 3"):
        measure_object(source)


@needs_compiler
def test_a_compiler_with_arguments(table, tmp_path, monkeypatch):
    """As ``CC="ccache gcc"``; a path with spaces is one word."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    wrapper = tmp_path / "my wrapper"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    tree = DecisionTreeClassifier(random_state=0).fit(*table[:2])
    monkeypatch.setenv("CC", f"'{wrapper}' {compiler}")
    assert CModel(compile_c(to_c(tree, tmp_path, "wrapped"))).n_features_in_ == 5
    monkeypatch.setenv("CC", str(wrapper))
    assert find_compiler() == [str(wrapper)]
    monkeypatch.setenv("CC", "'mycc")
    with pytest.raises(ConfigurationError, match='CC: "\'mycc" not found'):
        find_compiler()


@needs_compiler
def test_a_source_that_does_not_compile(tmp_path):
    (tmp_path / "model.c").write_text("int x = ;\n")
    with pytest.raises(ConfigurationError, match=r"model\.c: .* failed: .*error"):
        compile_c(tmp_path / "model.c")
    assert [path.name for path in tmp_path.iterdir()] == ["model.c"]


def test_no_source(tmp_path):
    with pytest.raises(ConfigurationError, match=r"model\.c: file not found, expected a \.c file written by to_c"):
        compile_c(tmp_path / "model.c")


@pytest.mark.skipif(sys.platform == "win32", reason="has other messages")
def test_no_library(tmp_path):
    (tmp_path / "model.so").write_text("no library")
    with pytest.raises(ConfigurationError, match=r"model\.so: cannot be loaded as a compiled model"):
        CModel(tmp_path / "model.so")
