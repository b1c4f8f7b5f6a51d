"""Scores of classifiers on the same test samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.cards.bootstrap import Interval, bootstrap_mean
from ganmc_lightning.cards.calibration import (
    CurvePoint,
    calibration_error,
    fit_temperature,
    log_softmax,
    reliability_curve,
)
from ganmc_lightning.cards.results import ClassifierResult, Role


@dataclass(frozen=True)
class Calibration:
    """Calibration on the test samples at one temperature.

    Attributes:
        temperature: divisor of the logits.
        log_loss: mean negative log probability of the labels, in nats.
        error: expected calibration error in [0, 1].
        curve: reliability curve.
    """

    temperature: float
    log_loss: float
    error: float
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class ClassifierScores:
    """Scores and costs of a classifier.

    Attributes:
        name: name of the classifier.
        role: ``"teacher"``, ``"student"`` or ``"baseline"``.
        accuracy: share of correct predictions.
        student_minus: accuracy of the first student minus that of this classifier; None for the first student.
        agreement: share of predictions that equal the teacher's; None for the teacher, or without a teacher.
        kl: mean Kullback-Leibler divergence from the teacher's probabilities to those of this classifier, in nats;
            None for the teacher, or without a teacher.
        calibration: calibration at temperature 1.
        scaled: calibration at the temperature fitted to validation samples; None if none is fitted.
        parameters: number of parameters.
        flops: floating-point operations per sample; None if unknown.
        bytes: size of the weights in a file; None if unknown.
        latency: batch size -> seconds per call.
    """

    name: str
    role: Role
    accuracy: Interval
    student_minus: Interval | None
    agreement: Interval | None
    kl: float | None
    calibration: Calibration
    scaled: Calibration | None
    parameters: int
    flops: int | None
    bytes: int | None
    latency: Mapping[int, float]


def score_classifier(
    result: ClassifierResult,
    labels: NDArray[np.int64],
    student: ClassifierResult,
    teacher: ClassifierResult | None,
    seed: int,
) -> ClassifierScores:
    """Score a classifier, and compare it with the first student and the teacher.

    Args:
        result: outputs of the classifier.
        labels: int64 (N,), labels of the test samples.
        student: outputs of the first student.
        teacher: outputs of the teacher, or None.
        seed: random seed of the bootstrap intervals, equal for all classifiers.
    """
    log_probabilities = log_softmax(to_array(result.logits))
    correct = correct_predictions(result, labels)
    difference = agreement = kl = None
    if result is not student:
        difference = bootstrap_mean(correct_predictions(student, labels).astype(float) - correct, seed)
    if teacher is not None and result is not teacher:
        teacher_log_probabilities = log_softmax(to_array(teacher.logits))
        agreement = bootstrap_mean(predictions(result) == predictions(teacher), seed)
        kl = kl_divergence(teacher_log_probabilities, log_probabilities)
    temperature = None
    if result.val_logits is not None and result.val_labels is not None:
        temperature = fit_temperature(to_array(result.val_logits), to_array(result.val_labels))
    return ClassifierScores(
        name=result.name,
        role=result.role,
        accuracy=bootstrap_mean(correct, seed),
        student_minus=difference,
        agreement=agreement,
        kl=kl,
        calibration=_calibration(log_probabilities, labels, 1.0),
        scaled=None if temperature is None else _calibration(log_probabilities, labels, temperature),
        parameters=result.parameters,
        flops=result.flops,
        bytes=result.bytes,
        latency=dict(result.latency),
    )


def kl_divergence(teacher: NDArray[np.float64], student: NDArray[np.float64]) -> float:
    """Compute the mean Kullback-Leibler divergence KL(teacher || student) in nats.

    Args:
        teacher: log probabilities (N, K).
        student: log probabilities (N, K).

    Example:
        >>> log_probabilities = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
        >>> round(kl_divergence(*log_probabilities), 4)
        0.1438
    """
    return float((np.exp(teacher) * (teacher - student)).sum(axis=1).mean())


def predictions(result: ClassifierResult) -> NDArray[np.int64]:
    """Return the class with the largest logit of each test sample, int64 (N,)."""
    found: NDArray[np.int64] = to_array(result.logits).argmax(axis=1)
    return found


def correct_predictions(result: ClassifierResult, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each test sample is classified correctly, bool (N,)."""
    correct: NDArray[np.bool_] = predictions(result) == labels
    return correct


def to_array(values: Tensor) -> NDArray[Any]:
    """Convert a tensor to an array; half precision, which NumPy lacks in part, becomes float32."""
    values = values.detach().cpu()
    return np.asarray(values.float() if values.is_floating_point() and values.itemsize < 4 else values)


def _calibration(log_probabilities: NDArray[np.float64], labels: NDArray[np.int64], temperature: float) -> Calibration:
    scaled = log_probabilities if temperature == 1 else log_softmax(log_probabilities, temperature)
    probabilities = np.exp(scaled)
    return Calibration(
        temperature,
        float(-np.take_along_axis(scaled, labels[:, None], axis=1).mean()),
        calibration_error(labels, probabilities),
        reliability_curve(labels, probabilities),
    )
