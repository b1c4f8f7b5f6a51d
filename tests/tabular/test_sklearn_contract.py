"""scikit-learn's estimator checks."""

from __future__ import annotations

import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator

from ganmc_lightning.synthesizers import JitterSynthesizer
from ganmc_lightning.tabular import DistilledClassifier, DistilledRegressor

ESTIMATORS = {
    "one student": DistilledClassifier(
        RandomForestClassifier(5), DecisionTreeRegressor(), teacher_labels="in_bag", label_weight=0, random_state=0
    ),
    "synthetic rows": DistilledClassifier(
        RandomForestClassifier(5),
        "tree",
        teacher_labels="in_bag",
        label_weight=0,
        synthesizer=JitterSynthesizer(0.1),
        synthetic_ratio=2,
        training_data="both",
        random_state=0,
    ),
    "selection": DistilledClassifier(RandomForestClassifier(3), max_nodes=9, label_weight=0, random_state=0),
    "regression": DistilledRegressor(RandomForestRegressor(3), max_nodes=9, label_weight=0, random_state=0),
}

# Bootstrap and synthetic samples do not depend on the weights, so that weight 2 and a repeated sample give different
# forests, in scikit-learn too; `test_weights.py` compares models without random samples.
EXCLUDED = {"check_sample_weight_equivalence_on_dense_data"}


# a list, because pytest 9 rejects the generator of ``parametrize_with_checks``
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(*pair, id=f"{name}-{pair[1].func.__name__}-{number}")
        for name, estimator in ESTIMATORS.items()
        for number, pair in enumerate(estimator_checks_generator(estimator))
        if pair[1].func.__name__ not in EXCLUDED
    ],
)
def test_scikit_learn_estimator(estimator, check):
    check(estimator)
