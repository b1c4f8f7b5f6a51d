from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from ganmc_lightning.tabular import DistilledClassifier, DistilledRegressor
from ganmc_lightning.tabular.compress_rows import ChoiceRows
from ganmc_lightning.tabular.plain_boosting import fit_plain, is_better, is_plain

NO_LIMITS = {"max_nodes": None, "max_bytes": None, "max_predict_seconds": None}
CLASSES = np.array(["no", "yes"])


class Constant:
    """Model of fixed outputs of the validation rows."""

    def __init__(self, outputs, classes=None):
        self.predict = self.predict_proba = lambda X: outputs
        if classes is not None:
            self.classes_ = classes


def choice_rows(y):
    return ChoiceRows(None, None, None, None, y, None, True, False)


def noisy_outputs(codes, noise, seed):
    second = 1 / (1 + np.exp(-2 * (2 * codes - 1) - noise * np.random.default_rng(seed).normal(size=len(codes))))
    return np.column_stack([1 - second, second])


@pytest.mark.parametrize(("noise", "better"), [(0.5, True), (2.0, False), (6.0, False)])
def test_classifiers_are_compared_by_auc(noise, better):
    codes = np.arange(400) % 2
    student = Constant(noisy_outputs(codes, noise, seed=0), CLASSES)
    plain = Constant(noisy_outputs(codes, 2.0, seed=1), CLASSES)
    assert is_better(student, plain, choice_rows(CLASSES[codes])) is better
    assert not is_better(plain, plain, choice_rows(CLASSES[codes]))


@pytest.mark.parametrize(("error", "better"), [(0.1, True), (0.299, False), (0.5, False)])
def test_regressors_are_compared_by_r2(error, better):
    random = np.random.default_rng(0)
    y, noise = random.normal(size=(2, 300))
    student, plain = Constant(y + error * random.permutation(noise)), Constant(y + 0.3 * noise)
    assert is_better(student, plain, choice_rows(y)) is better


@pytest.mark.parametrize("regression", [False, True])
def test_plain_boosting_has_at_most_as_many_nodes(binary, regression):
    X, y = binary
    kind, forest = (
        (DistilledRegressor, RandomForestRegressor) if regression else (DistilledClassifier, RandomForestClassifier)
    )

    def fit(**arguments):
        return kind(forest(5, random_state=0), random_state=0, **arguments).fit(X, y)

    student = fit(student="tree", max_nodes=31)
    same_size, plain = fit_plain(fit, student, NO_LIMITS, lambda model: 0)
    assert is_plain(same_size)
    assert is_plain(plain)
    assert not is_plain(student)
    assert same_size.profile_.student.nodes == plain.profile_.student.nodes
    assert plain.profile_.student.nodes <= student.profile_.student.nodes


@pytest.mark.parametrize(
    ("limits", "nodes"),
    [
        ({}, 60),
        ({"max_bytes": 6000}, 60),
        ({"max_bytes": 1000}, 10),
        ({"max_bytes": 299}, None),
        ({"max_nodes": 20}, 20),
        ({"max_nodes": 2}, None),
        ({"max_predict_seconds": 1e-12}, None),
        ({"max_predict_seconds": 1}, 60),
    ],
)
def test_limits(binary, limits, nodes):
    """The largest plain boosting within the limits, of a student of 60 nodes; a node has 100 bytes."""

    def fit(**arguments):
        return DistilledClassifier(RandomForestClassifier(5, random_state=0), random_state=0, **arguments).fit(*binary)

    student = SimpleNamespace(classes_=CLASSES, profile_=SimpleNamespace(student=SimpleNamespace(nodes=60)))
    same_size, plain = fit_plain(fit, student, NO_LIMITS | limits, lambda model: 100 * model.profile_.student.nodes)
    assert 20 < same_size.profile_.student.nodes <= 60
    if nodes is None:
        assert plain is None
    else:
        assert nodes / 3 < plain.profile_.student.nodes <= nodes


@pytest.mark.parametrize(("noise", "better"), [(0.5, True), (2.0, False), (6.0, False)])
def test_three_classes(noise, better):
    codes = np.arange(300) % 2 + 1  # no row of the first class
    classes = np.array(["none", *CLASSES])
    outputs = [
        np.column_stack([np.full(300, 0.1), 0.9 * noisy_outputs(codes - 1, scale, seed)])
        for seed, scale in enumerate((noise, 2.0))
    ]
    student, plain = (Constant(output, classes) for output in outputs)
    assert is_better(student, plain, choice_rows(classes[codes])) is better


def test_values_in_a_column():
    random = np.random.default_rng(0)
    y, noise = random.normal(size=(2, 300))
    for error in (0.1, 0.25, 0.28, 0.299):
        student, plain = Constant(y + error * noise), Constant(y + 0.3 * random.permutation(noise))
        assert is_better(student, plain, choice_rows(y[:, None])) is is_better(student, plain, choice_rows(y))
