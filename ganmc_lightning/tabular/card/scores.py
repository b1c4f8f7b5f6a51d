"""Scores of teacher, student and baseline on the same test rows, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from ganmc_lightning.cards.bootstrap import CONFIDENCE, Interval
from ganmc_lightning.cards.calibration import CurvePoint, reliability_curve
from ganmc_lightning.tabular.metrics import classification_metrics, weighted_auc

RESAMPLES = 500
WeightedScore = Callable[[NDArray[np.float64]], float]
"""Score as a function of the weights of the rows."""
QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


class GroupScore(NamedTuple):
    """Share of correct predictions of a class, or error of a quarter of the target's range, for each model.

    Attributes:
        name: class, or quarter of the values.
        rows: number of test rows.
        scores: model -> recall of the class in [0, 1], or root mean squared error.
    """

    name: str
    rows: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class TestScores:
    """Scores on test rows.

    Attributes:
        score: name of the main score: ``auc`` or ``r2``.
        metrics: model -> metric -> value.
        intervals: model -> main score with its interval.
        differences: model -> the student's main score minus that of the model, with its interval.
        groups: scores of classes, or of quarters of the values.
        reliability: model -> reliability curve; empty for regression.
    """

    __test__ = False  # pytest collects classes of this name

    score: str
    metrics: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Interval]
    differences: Mapping[str, Interval]
    groups: tuple[GroupScore, ...]
    reliability: Mapping[str, tuple[CurvePoint, ...]]


def compute_test_scores(
    y: NDArray[Any], outputs: Mapping[str, NDArray[np.float64]], classes: NDArray[Any], seed: int
) -> TestScores:
    """Score models on the same test rows.

    The bootstrap draws rows of each class separately: a resample without a class would have no AUC.

    Args:
        y: classes (N,) or values (N,).
        outputs: model -> probabilities (N, K) or values (N,); contains the model ``student``.
        classes: classes (K,) in the order of the probabilities; empty for regression.
        seed: random seed of the bootstrap.

    Example:
        >>> outputs = {"student": np.array([[0.9, 0.1], [0.2, 0.8]] * 20)}
        >>> scores = compute_test_scores(np.array([0, 1] * 20), outputs, np.array([0, 1]), seed=0)
        >>> scores.intervals["student"].value, scores.metrics["student"]["accuracy"]
        (1.0, 1.0)
    """
    targets: NDArray[Any]
    score: Callable[..., WeightedScore]
    if len(classes):
        targets = np.equal(np.asarray(y)[:, None], classes).argmax(axis=1)
        metrics = {name: _class_metrics(targets, values) for name, values in outputs.items()}
        groups = _class_recalls(targets, outputs, classes)
        reliability = {name: reliability_curve(targets, values) for name, values in outputs.items()}
        main, score = "auc", weighted_auc
    else:
        targets = np.asarray(y, dtype=np.float64)
        metrics = {name: _value_metrics(targets, values) for name, values in outputs.items()}
        groups, reliability = _quarter_errors(targets, outputs), {}
        main, score = "r2", _weighted_r2
    strata = [np.flatnonzero(targets == code) for code in np.unique(targets)] if len(classes) else [np.arange(len(y))]
    resampled = _bootstrap(score, targets, outputs, seed, strata)
    values = {name: metrics[name][main] for name in outputs}
    student = values["student"], resampled["student"]
    return TestScores(
        main,
        metrics,
        {name: _interval(values[name], resampled[name]) for name in outputs},
        {
            name: _interval(student[0] - values[name], student[1] - resampled[name])
            for name in outputs
            if name != "student"
        },
        groups,
        reliability,
    )


def _weighted_r2(y: NDArray[Any], values: NDArray[np.float64]) -> WeightedScore:
    return lambda weights: float(r2_score(y, values, sample_weight=weights))


def _bootstrap(
    score: Callable[..., WeightedScore],
    y: NDArray[Any],
    outputs: Mapping[str, NDArray[np.float64]],
    seed: int,
    strata: Sequence[NDArray[np.int64]],
) -> dict[str, NDArray[np.float64]]:
    """Score resampled rows, the same ones for every model; each stratum keeps its number of rows."""
    random = np.random.default_rng(seed)
    scores = {name: score(y, values) for name, values in outputs.items()}
    found = {name: np.empty(RESAMPLES) for name in outputs}
    for number in range(RESAMPLES):
        counts = np.zeros(len(y))
        for rows in strata:
            counts[rows] = np.bincount(random.integers(len(rows), size=len(rows)), minlength=len(rows))
        for name, weighted in scores.items():
            found[name][number] = weighted(counts)
    return found


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(float(value), float(low), float(high))


def _class_metrics(y: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    one_hot = np.eye(probabilities.shape[1])[y]
    squares = ((probabilities - one_hot) ** 2).sum(axis=1)
    brier = float(squares.mean() / (2 if probabilities.shape[1] == 2 else 1))
    return {**classification_metrics(y, probabilities), "brier": brier}


def _value_metrics(y: NDArray[np.float64], values: NDArray[np.float64]) -> dict[str, float]:
    return {
        "r2": float(r2_score(y, values)),
        "rmse": float(root_mean_squared_error(y, values)),
        "mae": float(mean_absolute_error(y, values)),
    }


def _class_recalls(
    y: NDArray[np.int64], outputs: Mapping[str, NDArray[np.float64]], classes: NDArray[Any]
) -> tuple[GroupScore, ...]:
    found = []
    for code, label in enumerate(classes.tolist()):
        members = y == code
        if members.any():
            recalls = {name: float((values[members].argmax(axis=1) == code).mean()) for name, values in outputs.items()}
            found.append(GroupScore(str(label), int(members.sum()), recalls))
    return tuple(found)


def _quarter_errors(y: NDArray[np.float64], outputs: Mapping[str, NDArray[np.float64]]) -> tuple[GroupScore, ...]:
    quarter = np.searchsorted(np.quantile(y, [0.25, 0.5, 0.75]), y, side="left")
    found = []
    for number, name in enumerate(QUARTERS):
        members = quarter == number
        if members.any():
            errors = {
                model: float(np.sqrt(np.mean((values[members] - y[members]) ** 2))) for model, values in outputs.items()
            }
            found.append(GroupScore(name, int(members.sum()), errors))
    return tuple(found)
