"""Boosting students by the form of their targets: AUC on MAGIC and on 1,000 rows of Higgs.

    python -m benchmarks.soft_targets --out benchmarks/results/soft_targets/amd-epyc.json

The targets are the probabilities of a random forest of 500 trees for the training rows, in-bag. Students are fitted to
their cross-entropy, as in this package, or by squared error to the probabilities or to their logits. The shape of each
student is selected by AUC on the validation rows; the data are those of ``ganmc forest``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier

from ganmc_lightning.cli.forest_config import ForestData
from ganmc_lightning.data.datasets import HIGGS, MAGIC
from ganmc_lightning.experiments.environment import describe_environment
from ganmc_lightning.tabular.metrics import binary_auc
from ganmc_lightning.tabular.students import BoostingKind
from ganmc_lightning.tabular.tasks import fit_classification_student

DATA = {"MAGIC": (ForestData(MAGIC()), 1240), "Higgs, 1,000 rows": (ForestData(HIGGS(), train_size=1000), 300)}
"""Name -> data and maximum number of nodes."""
SEEDS = (0, 1, 2)
SMALLEST = 0.001
"""Probabilities are clipped to [SMALLEST, 1 - SMALLEST] before their logits are computed."""
SHAPE = ("max_leaf_nodes", "max_iter", "learning_rate", "min_samples_leaf", "early_stopping")
"""Parameters of a student."""
REGRESSIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "squared error of probabilities": lambda p: p,
    "squared error of logits": lambda p: logit(np.clip(p, SMALLEST, 1 - SMALLEST)),
}


def fit_students(estimator: Any, X: NDArray[Any], probabilities: NDArray[np.float64]) -> Iterator[tuple[str, Any]]:
    """Fit one shape to each form of the targets; yield the name and the fitted model."""
    model = clone(estimator)
    yield "cross-entropy of probabilities", fit_classification_student(model, X, probabilities, None, 0)
    for name, transform in REGRESSIONS.items():
        parameters = {
            key: value for key, value in estimator.get_params().items() if key not in ("class_weight", "loss")
        }
        yield name, HistGradientBoostingRegressor(**parameters).fit(X, transform(probabilities[:, 1]))


def scores(model: Any, X: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Yield a score of each row after each of the largest three numbers of iterations."""
    classifies = hasattr(model, "predict_proba")
    for stage in BoostingKind().stages(model, X, n_classes=2 if classifies else 0):
        yield stage.predictions[:, 1] if classifies else stage.predictions


def measure(data: ForestData, max_nodes: int) -> dict[str, list[float]]:
    """Return the test AUC of the teacher and of each form of the targets, one value per seed."""
    splits = data.load()
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        teacher = RandomForestClassifier(500, random_state=seed).fit(splits.fit.X, splits.fit.y)
        found.setdefault("teacher", []).append(
            binary_auc(splits.test.y == 1, teacher.predict_proba(splits.test.X)[:, 1])
        )
        candidates: dict[str, list[tuple[float, float]]] = {}
        for estimator in BoostingKind().estimators(2, max_nodes, len(splits.fit.X)):
            for name, model in fit_students(estimator, splits.fit.X, teacher.predict_proba(splits.fit.X)):
                pairs = zip(scores(model, splits.validation.X), scores(model, splits.test.X), strict=True)
                candidates.setdefault(name, []).extend(
                    (binary_auc(splits.validation.y == 1, own), binary_auc(splits.test.y == 1, other))
                    for own, other in pairs
                )
        for name, values in candidates.items():
            found.setdefault(name, []).append(max(values, key=lambda pair: pair[0])[1])
    return found


def main() -> None:
    """Measure all data sets, print the means and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    out = parser.parse_args().out
    rows = {name: measure(data, max_nodes) for name, (data, max_nodes) in DATA.items()}
    for name, values in rows.items():
        print(name, {key: round(float(np.mean(each)), 4) for key, each in values.items()})
    content = {
        "command": "python -m benchmarks.soft_targets",
        "seeds": SEEDS,
        "environment": {key: value for key, value in describe_environment("cpu").items() if key != "git"},
        "auc": rows,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
