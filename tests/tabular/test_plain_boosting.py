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
    return ChoiceRows(None, None, None, y, None, True, False)


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
    plain, permitted = fit_plain(fit, student, NO_LIMITS, lambda model: 0)
    assert is_plain(plain)
    assert not is_plain(student)
    assert permitted
    assert plain.profile_.student.nodes <= student.profile_.student.nodes


@pytest.mark.parametrize(
    ("limits", "permitted"),
    [
        ({"max_bytes": 100}, True),
        ({"max_bytes": 99}, False),
        ({"max_nodes": 3}, True),
        ({"max_nodes": 2}, False),
        ({"max_predict_seconds": 1e-12}, False),
        ({"max_predict_seconds": 1}, True),
    ],
)
def test_limits(binary, limits, permitted):
    def fit(**arguments):
        return DistilledClassifier(RandomForestClassifier(5, random_state=0), **arguments).fit(*binary)

    smallest = SimpleNamespace(classes_=CLASSES, profile_=SimpleNamespace(student=SimpleNamespace(nodes=1)))
    plain, found = fit_plain(fit, smallest, NO_LIMITS | limits, lambda model: 100)
    assert found is permitted
    assert plain.profile_.student.nodes == 3
