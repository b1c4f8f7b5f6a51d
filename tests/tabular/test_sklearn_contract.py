"""scikit-learn's estimator checks."""

from __future__ import annotations

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator

from ganmc_lightning.synthesizers import JitterSynthesizer
from ganmc_lightning.tabular import ForestCompressor

ESTIMATORS = {
    "real": ForestCompressor(RandomForestClassifier(5), training_data="real", random_state=0),
    "both": ForestCompressor(
        RandomForestClassifier(5), DecisionTreeRegressor(), JitterSynthesizer(0.1), 2, random_state=0
    ),
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
