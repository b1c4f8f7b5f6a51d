from __future__ import annotations

import threading

import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.tabular.teacher import fit_teacher


@pytest.mark.parametrize("kind", ["forest", "pipeline", "voting", "regressor"])
def test_outputs_are_predicted_on_one_thread(binary, monkeypatch, kind):
    """A forest sums its trees in the order in which they finish, which is not that of one thread."""
    X, y = binary
    forest = RandomForestClassifier(7, n_jobs=2, random_state=0)
    teacher = fit_teacher(
        {
            "forest": forest,
            "pipeline": make_pipeline(StandardScaler(), forest),
            "voting": VotingClassifier([("forest", forest)], voting="soft"),
            "regressor": RandomForestRegressor(7, n_jobs=2, random_state=0),
        }[kind],
        X,
        y,
        0,
        regression=kind == "regressor",
    )
    threads = set()
    tree, method = (
        (DecisionTreeRegressor, "predict") if kind == "regressor" else (DecisionTreeClassifier, "predict_proba")
    )
    predict = getattr(tree, method)

    def record(*arguments, **options):
        threads.add(threading.get_ident())
        return predict(*arguments, **options)

    monkeypatch.setattr(tree, method, record)
    teacher.predict_outputs(X)
    assert threads == {threading.get_ident()}
    getattr(teacher.model, method)(X)
    assert len(threads) > 1
