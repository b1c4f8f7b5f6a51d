"""scikit-learn's own checks of what an estimator must do."""

from __future__ import annotations

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator

from ganmc_lightning.forests import ForestCompressor
from ganmc_lightning.synthesizers import JitterSynthesizer

ESTIMATORS = {
    "real": ForestCompressor(RandomForestClassifier(5), scenario="real", random_state=0),
    "pooled": ForestCompressor(
        RandomForestClassifier(5), DecisionTreeRegressor(), JitterSynthesizer(0.1), 2, random_state=0
    ),
}


# A list of what ``parametrize_with_checks`` hands over as a generator, which pytest 9 refuses.
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(*pair, id=f"{name}-{pair[1].func.__name__}-{number}")
        for name, estimator in ESTIMATORS.items()
        for number, pair in enumerate(estimator_checks_generator(estimator))
    ],
)
def test_scikit_learn_estimator(estimator, check):
    check(estimator)
