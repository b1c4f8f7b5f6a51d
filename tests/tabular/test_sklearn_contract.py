"""scikit-learn's own checks of what an estimator must do."""

from __future__ import annotations

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator

from ganmc_lightning.synthesizers import JitterSynthesizer
from ganmc_lightning.tabular import ForestCompressor

ESTIMATORS = {
    "real": ForestCompressor(RandomForestClassifier(5), scenario="real", random_state=0),
    "pooled": ForestCompressor(
        RandomForestClassifier(5), DecisionTreeRegressor(), JitterSynthesizer(0.1), 2, random_state=0
    ),
}

# Bootstrap samples and synthetic rows are drawn without regard to the weights, so that a row of weight 2 and a row that
# occurs twice give different forests, scikit-learn's own too; `test_weights.py` compares where nothing is drawn.
NOT_OF_FORESTS = {"check_sample_weight_equivalence_on_dense_data"}


# A list of what ``parametrize_with_checks`` hands over as a generator, which pytest 9 refuses.
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(*pair, id=f"{name}-{pair[1].func.__name__}-{number}")
        for name, estimator in ESTIMATORS.items()
        for number, pair in enumerate(estimator_checks_generator(estimator))
        if pair[1].func.__name__ not in NOT_OF_FORESTS
    ],
)
def test_scikit_learn_estimator(estimator, check):
    check(estimator)
