from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import StudentClassifier
from ganmc_lightning.tabular.export import (
    CModel,
    compile_c,
    ensemble,
    fixed_point,
    fixed_point_source,
    measure_object,
    to_c,
    to_c_int16,
)
from ganmc_lightning.tabular.export.arrays import flatten
from ganmc_lightning.tabular.export.boosting import flatten_boosting
from ganmc_lightning.tabular.export.ensemble import to_ensemble
from ganmc_lightning.tabular.export.fixed_point import (
    HIGHEST,
    LOWEST,
    MISSING,
    round_affinely,
    to_fixed_point,
    to_single,
)
from ganmc_lightning.tabular.profiling import trees_of
from ganmc_lightning.tabular.student import to_probabilities

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler")


def test_rounding_keeps_the_order():
    rng = np.random.default_rng(0)
    X = np.sort(rng.normal(size=(3000, 1)) * 10.0 ** rng.integers(-30, 30, (3000, 1)), axis=0).astype(np.float32)
    rounded = round_affinely(X, np.float32([-1]), np.float32([3e4]))
    assert (np.diff(rounded[:, 0]) >= 0).all()
    assert rounded.min() == LOWEST
    assert rounded.max() == HIGHEST
    special = round_affinely(np.array([[np.nan], [-np.inf], [np.inf]], np.float32), np.float32([0]), np.float32([1]))
    assert special[:, 0].tolist() == [MISSING, LOWEST, HIGHEST]


def test_thresholds_closer_than_a_step_are_counted(tmp_path):
    """16 bits cannot separate the first two of 200,000 equal steps; the errors equal those of the predictions."""
    X = np.arange(200_000, dtype=np.float32)[:, None]
    y = (X >= [1, 2, 100_001, 199_999]).sum(axis=1)
    tree = DecisionTreeRegressor().fit(X, y)
    report = to_c_int16(tree, tmp_path, X)
    fixed = to_fixed_point(to_ensemble(flatten(trees_of(tree)), 1), X)
    errors = np.abs(fixed.decision_function(X)[:, 0] - tree.predict(X))
    assert report.moved_rows == (errors > 0.5).sum() > 0
    assert 1 <= report.inexact_thresholds <= 4
    assert report.largest_error == pytest.approx(errors.max(), abs=report.bound)


@pytest.mark.parametrize("kind", ["nine classes", "regression, categories"])
def test_the_report_of_blocks_of_samples(kind, boosted_kinds, mixed_table, tmp_path, monkeypatch):
    """Compared with all samples at once; the leaves of at most a block are in memory."""
    model, X = boosted_kinds[kind](), mixed_table()[0]
    X = np.concatenate([X, 1.0001 * X])  # between the values that thresholds separate
    whole = to_c_int16(model, tmp_path, X)
    monkeypatch.setattr(ensemble, "ROWS", 70)
    counts = []
    apply = ensemble.FlatEnsemble.apply
    monkeypatch.setattr(ensemble.FlatEnsemble, "apply", lambda self, X: counts.append(len(X)) or apply(self, X))
    assert to_c_int16(model, tmp_path, X) == whole
    assert max(counts) == 70
    exact = flatten_boosting(model)
    fixed = to_fixed_point(exact, X)
    encoded, rounded = exact.encode(X), fixed.round_features(X)
    assert whole.moved_rows == (apply(exact, encoded) != fixed.apply(rounded)).any(axis=1).sum()
    assert whole.largest_error == np.abs(fixed.decision_function(X) - exact.decision_function(X)).max()


def test_inexact_thresholds_are_those_of_all_comparisons():
    random = np.random.default_rng(0)
    X = np.column_stack([random.normal(size=3000), 10 ** random.uniform(-6, 6, 3000), random.integers(9, size=3000)])
    X[random.random(X.shape) < 0.1] = np.nan
    X[:2, 1] = np.inf, -np.inf
    forest = RandomForestRegressor(20, random_state=0).fit(np.where(np.isinf(X), 0, X), random.normal(size=3000))
    exact = to_ensemble(flatten(trees_of(forest)), 3)
    fixed = to_fixed_point(exact, X)
    rounded = fixed.round_features(X)
    inexact = set()
    for feature, threshold, integer in zip(exact.features, exact.thresholds, fixed.thresholds, strict=True):
        values = X[:, feature]
        if (((values <= threshold) != (rounded[:, feature] <= integer)) & ~np.isnan(values)).any():
            inexact.add((feature, threshold))
    assert fixed.count_inexact_thresholds(X) == len(inexact) > 100


def test_the_bound_walks_the_trees_once(boosted_kinds, mixed_table, monkeypatch):
    fixed = to_fixed_point(flatten_boosting(boosted_kinds["nine classes"]()), mixed_table()[0])
    walks = []
    walk = fixed_point.leaves_of_trees
    monkeypatch.setattr(fixed_point, "leaves_of_trees", lambda trees: walks.append(trees) or walk(trees))
    assert fixed.bound() > 0
    assert len(walks) == 1


def test_thresholds_are_exact_where_the_grid_separates_the_samples(boosted, mixed_table, tmp_path):
    X, _ = mixed_table()
    report = to_c_int16(boosted, tmp_path, X)
    assert (report.inexact_thresholds, report.moved_rows) == (0, 0)
    assert report.largest_error <= report.bound * (1 + 1e-6)
    assert report.changed_labels == (0 if is_classifier(boosted) else None)


def test_the_bound_is_attained_by_independent_rounding(boosted, mixed_table):
    """The error of every combination of leaves is at most the bound, and that of one combination is close to it."""
    X, _ = mixed_table()
    fixed = to_fixed_point(flatten_boosting(boosted), X)
    errors = fixed.decision_function(X) - flatten_boosting(boosted).decision_function(X)
    assert 0.05 * fixed.bound() <= np.abs(errors).max() <= fixed.bound() * (1 + 1e-6) + 1e-12
    scale = np.abs(fixed.ensemble.leaves).max()
    assert fixed.bound() <= (len(fixed.ensemble.roots) + 1) * scale / 2**14 + 1e-9 * np.abs(fixed.baseline).max()


@needs_compiler
def test_predictions_equal_integers_in_python(boosted, mixed_table, boosted_rows, tmp_path):
    X, _ = mixed_table()
    report = to_c_int16(boosted, tmp_path, X)
    rows = to_single(np.concatenate([boosted_rows(boosted), [[np.inf, 1, 3, -np.inf]]]))
    compiled = CModel(compile_c(report.path))
    assert compiled.dtype == np.float32
    fixed = to_fixed_point(flatten_boosting(boosted), X)
    assert fixed.leaves.min() >= -32768
    assert fixed.leaves.max() <= 32767
    assert np.abs(fixed.sums(fixed.apply(fixed.round_features(rows)))).max() < 2**31
    if not is_classifier(boosted):
        np.testing.assert_array_equal(compiled.predict(rows), fixed.decision_function(rows))
        return
    values = fixed.decision_function(rows)
    labels = values[:, 0] > 0 if values.shape[1] == 1 else values.argmax(axis=1)
    np.testing.assert_array_equal(compiled.labels(rows), labels)


@needs_compiler
def test_trees_forests_and_students(model, table, tmp_path):
    X = table[0].astype(np.float32)
    report = to_c_int16(model, tmp_path, X)
    wanted = model.predict_proba(X) if is_classifier(model) else model.predict(X)
    made = CModel(compile_c(report.path)).predict(X)
    assert report.moved_rows == 0
    assert np.abs(made - wanted).max() <= 2 * report.bound + 1e-12  # shares of a student divide by a rounded sum
    assert report.bound < 1e-4


@pytest.mark.parametrize(("classes", "words"), [(2, "a prediction by"), (3, "a prediction before normalization by")])
def test_the_bound_of_a_student_is_that_before_normalization(classes, words, tmp_path):
    """The probabilities of three classes are divided by their total; here they change by more than the bound."""
    X = np.arange(20.0)[:, None]
    values = np.random.default_rng(0).uniform(0.01, 0.02, (20, 3))
    tree = DecisionTreeRegressor(random_state=0).fit(X, values if classes == 3 else values[:, 0])
    student = StudentClassifier(tree, range(classes))
    report = to_c_int16(student, tmp_path, X)
    assert f"Rounding changes {words} at most {report.bound:.3g}," in report.path.with_suffix(".h").read_text()
    fixed = to_fixed_point(to_ensemble(flatten(trees_of(tree)), 1), X)
    rounded = fixed.decision_function(X)
    rounded = rounded[:, 0] if classes == 2 else rounded
    error = np.abs(to_probabilities(rounded) - student.predict_proba(X)).max()
    assert (error > report.bound) == (classes == 3)


@needs_compiler
def test_missing_values_in_trees_and_forests(missing_model, missing_rows, tmp_path):
    report = to_c_int16(missing_model, tmp_path, missing_rows)
    made = CModel(compile_c(report.path)).predict(missing_rows)
    wanted = (
        missing_model.predict_proba(missing_rows)
        if is_classifier(missing_model)
        else missing_model.predict(missing_rows).reshape(len(missing_rows), -1)
    )
    assert report.moved_rows == 0
    np.testing.assert_allclose(made, wanted, atol=1e-3)


@needs_compiler
@pytest.mark.parametrize("kind", ["two", "three"])
def test_a_program_without_double_classifies(kind, boosted_students, tmp_path):
    """Compiled with every warning as an error, and compared with the labels of scikit-learn."""
    models, X = boosted_students
    report = to_c_int16(models[kind], tmp_path, X, "m")
    rows = ",".join(f"{value:.9g}" for value in X.astype(np.float32).ravel())
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "m.h"\n'
        f"static const float rows[] = {{{rows}}};\n"
        f"int main(void)\n{{\n    int16_t quantized[4];\n    for (int i = 0; i < {len(X)}; i++) {{\n"
        '        m_quantize(rows + 4 * i, quantized);\n        printf("%d ", m_classify(quantized));\n'
        "    }\n    return 0;\n}\n"
    )
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-DM_NO_DOUBLE"]
    run = [compiler, *flags, "-o", tmp_path / "run", tmp_path / "main.c", report.path]  # without the math library
    subprocess.run(run, check=True)
    printed = subprocess.run([tmp_path / "run"], check=True, capture_output=True, text=True).stdout.split()
    labels = models[kind].classes_[np.array(printed, dtype=int)]
    assert (labels != models[kind].predict(X)).sum() == report.changed_labels == 0


@needs_compiler
def test_a_program_with_categories(boosted_kinds, mixed_table, tmp_path):
    model = boosted_kinds["multiclass, categories"]()
    report = to_c_int16(model, tmp_path, mixed_table()[0])
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([compiler, *flags, "-c", "-o", tmp_path / "m.o", report.path], check=True)
    header = report.path.with_suffix(".h").read_text()
    assert f"with {report.bits} fractional bits." in header
    assert f"by at most {report.bound:.3g}" in header
    assert "Feature 2 is its category" in header


@needs_compiler
def test_students_with_a_classifier(codes_student, mixed_table, tmp_path):
    X = mixed_table()[0]
    report = to_c_int16(codes_student, tmp_path, X)
    compiled = CModel(compile_c(report.path))
    np.testing.assert_allclose(compiled.predict(X), codes_student.predict_proba(X), atol=report.bound + 1e-12)
    assert (codes_student.classes_[compiled.labels(X)] != codes_student.predict(X)).sum() == report.changed_labels


@needs_compiler
@pytest.mark.parametrize("trees", [20, 21])
def test_probabilities_near_one_half_are_classified_by_integers(trees, tmp_path):
    """With leaves that close, the sum of a probability of 1 exceeds 32 bits."""
    X = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    forest = RandomForestRegressor(trees, max_depth=2, random_state=0).fit(X, 0.5 + 1e-4 * np.tanh(X[:, 0]))
    student = StudentClassifier(forest, [0, 1])
    report = to_c_int16(student, tmp_path, X)
    assert trees * 2**report.bits > 2**31
    np.testing.assert_array_equal(CModel(compile_c(report.path)).classify(X), student.predict(X))


def test_large_values_lose_fractional_bits(tmp_path):
    X = np.arange(64.0)[:, None]
    for offset in (0, 1e6, 1e12):
        tree = DecisionTreeRegressor().fit(X, offset + np.arange(64) % 7)
        report = to_c_int16(tree, tmp_path, X)
        assert report.largest_error <= report.bound <= max(1e-4, offset * 1e-9)


@needs_compiler
def test_object_sizes(boosted_students, tmp_path):
    models, X = boosted_students
    exact = measure_object(to_c(models["two"], tmp_path, "exact"))
    source = to_c_int16(models["two"], tmp_path, X, "m").path
    small, smallest = measure_object(source), measure_object(source, ["-DM_NO_DOUBLE"])
    assert smallest.flash_bytes < small.flash_bytes < exact.flash_bytes < exact.file_bytes <= 8192
    assert exact.ram_bytes == small.ram_bytes == 0


def test_a_differing_compilation_is_not_written(boosted_kinds, mixed_table, tmp_path, monkeypatch):
    if not fixed_point_source.has_compiler():
        pytest.skip("needs a C compiler")
    texts = fixed_point_source.fixed_point_texts

    def broken(name, described, fixed):
        header, source = texts(name, described, fixed)
        return header, source.replace("at->feature & 1", "!(at->feature & 1)")

    monkeypatch.setattr(fixed_point_source, "fixed_point_texts", broken)
    with pytest.raises(ConfigurationError, match=r"model\.c: not written, because the compiled integers differ"):
        to_c_int16(boosted_kinds["regression"](), tmp_path, mixed_table()[0])
    assert list(tmp_path.iterdir()) == []


def test_invalid_arguments(tmp_path):
    X = np.arange(6.0)[:, None]
    tree = DecisionTreeClassifier().fit(X, [0, 1] * 3)
    with pytest.raises(ConfigurationError, match=r"X: got shape \(6, 2\), expected \(N, 1\)"):
        to_c_int16(tree, tmp_path, np.ones((6, 2)))
    with pytest.raises(ConfigurationError, match="X: got 0 samples, expected at least one"):
        to_c_int16(tree, tmp_path, np.ones((0, 1)))
    with pytest.raises(ConfigurationError, match="model: got LogisticRegression, C export supports"):
        to_c_int16(LogisticRegression().fit(X, [0, 1] * 3), tmp_path, X)
    assert list(tmp_path.iterdir()) == []


def test_a_single_leaf_and_constant_columns(tmp_path):
    X = np.zeros((40, 2))
    for fitted in (DecisionTreeRegressor(), HistGradientBoostingRegressor(max_iter=1), RandomForestClassifier(2)):
        report = to_c_int16(fitted.fit(X, np.ones(40)), tmp_path, X)
        assert report.largest_error <= 1e-4
    student = StudentClassifier(DecisionTreeRegressor().fit(X, np.full(40, 0.25)), ["no", "yes"])
    assert to_c_int16(student, tmp_path, X).changed_labels == 0
