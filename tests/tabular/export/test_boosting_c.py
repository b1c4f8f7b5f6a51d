from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export import CModel, c_source, compile_c, encode_samples, to_c
from ganmc_lightning.tabular.export.boosting import flatten_boosting
from ganmc_lightning.tabular.export.probes import SPECIAL

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler")


@needs_compiler
def test_sums_equal_scikit_learn_exactly(boosted, boosted_rows, tmp_path):
    rows = boosted_rows(boosted)
    compiled = CModel(compile_c(to_c(boosted, tmp_path)))
    assert compiled.dtype == np.float64
    if not is_classifier(boosted):
        np.testing.assert_array_equal(compiled.predict(rows), boosted.predict(rows).reshape(len(rows), -1))
        return
    np.testing.assert_array_equal(
        compiled.decision_function(rows), boosted.decision_function(rows).reshape(len(rows), -1)
    )
    np.testing.assert_allclose(compiled.predict(rows), boosted.predict_proba(rows), rtol=1e-14, atol=1e-16)
    np.testing.assert_array_equal(boosted.classes_[compiled.labels(rows)], boosted.predict(rows))


@needs_compiler
@pytest.mark.parametrize("kind", ["two", "three"])
def test_students_equal_scikit_learn_exactly(kind, boosted_students, tmp_path):
    models, X = boosted_students
    student = models[kind]
    compiled = CModel(compile_c(to_c(student, tmp_path)))
    np.testing.assert_array_equal(compiled.predict(X), student.predict_proba(X))
    np.testing.assert_array_equal(student.classes_[compiled.labels(X)], student.predict(X))
    assert np.isin(compiled.predict(X), [0, 1]).any()  # some values are clipped


@needs_compiler
def test_students_with_a_classifier(codes_student, mixed_table, tmp_path):
    X = mixed_table(seed=2)[0]
    compiled = CModel(compile_c(to_c(codes_student, tmp_path)))
    np.testing.assert_allclose(compiled.predict(X), codes_student.predict_proba(X), rtol=1e-13)
    np.testing.assert_array_equal(codes_student.classes_[compiled.labels(X)], codes_student.predict(X))
    assert f"'{codes_student.classes[1]}'" in (tmp_path / "model.h").read_text()


@needs_compiler
def test_infinities_take_the_branches_of_scikit_learn(boosted_kinds, tmp_path):
    model = boosted_kinds["multiclass"]()
    rng = np.random.default_rng(0)
    rows = rng.choice(SPECIAL, (500, 4)).astype(np.float64)
    compiled = CModel(compile_c(to_c(model, tmp_path)))
    np.testing.assert_array_equal(compiled.decision_function(rows), model.decision_function(rows))


@needs_compiler
def test_labels_depend_on_sums_that_probabilities_round_away(tmp_path):
    """A sum of 1e-17 has probability 0.5 in float64, but scikit-learn predicts the second class."""
    X = np.repeat([[0.0], [1.0], [2.0]], 30, axis=0)
    binary = HistGradientBoostingClassifier(max_iter=1).fit(X, np.arange(90) % 2)
    three = HistGradientBoostingClassifier(max_iter=1).fit(X, np.arange(90) % 3)
    binary._baseline_prediction = np.full((1, 1), 1e-17)
    three._baseline_prediction = np.array([[0, 1e-17, 0]])
    for model in (binary, three):
        for predictor in model._predictors[0]:
            predictor.nodes["value"] = 0
        compiled = CModel(compile_c(to_c(model, tmp_path)))
        assert compiled.labels(X[:1]).tolist() == model.predict(X[:1]).tolist() == [1]
        np.testing.assert_allclose(compiled.predict(X[:1]), model.predict_proba(X[:1]), rtol=1e-15)


@needs_compiler
def test_text_categories_are_given_as_numbers(mixed_table, tmp_path):
    pandas = pytest.importorskip("pandas")
    X, score = mixed_table()
    names = np.array(["blue", "green", "red", "*/ tan", "white"], dtype=object)[np.nan_to_num(X[:, 1]).astype(int)]
    table = pandas.DataFrame({"size": X[:, 0], "color": pandas.Categorical(names), "age": X[:, 3]})
    table.loc[:20, "color"] = None
    model = HistGradientBoostingClassifier(max_iter=6).fit(table, score > 1)
    source = to_c(model, tmp_path)
    header = source.with_suffix(".h").read_text()
    assert " * Feature 1 is the number of its category; other values are missing:\n *   0  '* / tan'\n" in header
    assert " *   1  'color'\n" in header
    compiled = CModel(compile_c(source))
    encoded = encode_samples(model, table)
    assert set(np.unique(encoded[21:, 1])) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(compiled.decision_function(encoded)[:, 0], model.decision_function(table))


def test_the_header_lists_numeric_categories(boosted_kinds, tmp_path):
    header = to_c(boosted_kinds["binary, categories"](), tmp_path).with_suffix(".h").read_text()
    assert " * Feature 2 is its category; other values are missing:\n *   0  0.0\n *   1  3.0\n" in header
    assert "Classes, in the order of the probabilities:\n *   0  False\n *   1  True\n" in header
    assert "NaN is a missing value" in header


def test_arrays_are_compared_without_a_compiler(boosted, tmp_path, monkeypatch):
    monkeypatch.setattr(c_source, "has_compiler", lambda: False)
    assert to_c(boosted, tmp_path).is_file()


@pytest.mark.parametrize("field", ["num_threshold", "missing_go_to_left", "value"])
def test_differing_exports_are_not_written(boosted_kinds, field, tmp_path, monkeypatch):
    """One node of the exported copy is changed."""
    model = boosted_kinds["regression"]()
    flat = flatten_boosting(model)
    if field == "num_threshold":
        flat.thresholds[:] = np.nextafter(flat.thresholds, -np.inf)
    elif field == "value":
        flat.leaves[0] += 1e-3
    else:
        flat.missing_left[:] = ~flat.missing_left
    monkeypatch.setattr(c_source, "flatten_boosting", lambda model: flat)
    with pytest.raises(ConfigurationError, match=r"model\.c: not written, .* differ from"):
        to_c(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


@needs_compiler
def test_a_c_program_predicts(boosted_kinds, tmp_path):
    """Compiled with every warning as an error."""
    model = boosted_kinds["multiclass, categories"]()
    source = to_c(model, tmp_path, "boosted")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "boosted.h"\n'
        "int main(void)\n{\n    double row[4] = {0.5, 2, 33, 1}, out[3];\n    int label;\n"
        "    boosted_predict(row, 1, out);\n    boosted_labels(out, 1, &label);\n"
        '    printf("%d %.17g %.17g %.17g", label, out[0], out[1], out[2]);\n    return 0;\n}\n'
    )
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    run = [compiler, *flags, "-o", tmp_path / "run", tmp_path / "main.c", source, "-lm"]
    subprocess.run(run, check=True)
    printed = subprocess.run([tmp_path / "run"], check=True, capture_output=True, text=True).stdout.split()
    row = [[0.5, 2, 33, 1]]
    assert model.classes_[int(printed[0])] == model.predict(row)[0]
    assert [float(word) for word in printed[1:]] == pytest.approx(model.predict_proba(row)[0].tolist(), rel=1e-13)


@needs_compiler
def test_only_boosted_classifiers_have_a_decision_function(boosted_kinds, tmp_path):
    compiled = CModel(compile_c(to_c(boosted_kinds["regression"](), tmp_path)))
    with pytest.raises(ConfigurationError, match="only a boosted classifier has a decision function; call predict"):
        compiled.decision_function([[0, 0, 0, 0]])


def test_unsupported_models(mixed_table, tmp_path):
    X, score = mixed_table()
    with pytest.raises(ConfigurationError, match="HistGradientBoostingRegressor with loss 'poisson', expected"):
        to_c(HistGradientBoostingRegressor(loss="poisson", max_iter=1).fit(X, score - score.min()), tmp_path)
    with pytest.raises(NotFittedError, match="HistGradientBoostingRegressor instance is not fitted"):
        to_c(HistGradientBoostingRegressor(), tmp_path)
