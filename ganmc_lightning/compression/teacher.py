"""Outputs of a classifier on a split, and a check that a teacher is better than chance."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError

STANDARD_ERRORS = 3.0
"""A teacher is at chance if its accuracy is at most this far above the share of the most frequent class."""


class SplitLogits(NamedTuple):
    """Outputs of a classifier for all samples of a split.

    Attributes:
        logits: float32 (N, K), on the CPU.
        labels: int64 (N,).
    """

    logits: Tensor
    labels: Tensor

    @property
    def accuracy(self) -> float:
        """Share of correct predictions.

        Example:
            >>> SplitLogits(torch.eye(2), torch.tensor([0, 0])).accuracy
            0.5
        """
        return float((self.logits.argmax(dim=1) == self.labels).double().mean())


def check_finite_logits(teacher: SplitLogits) -> None:
    """Check that a teacher's logits are finite.

    Raises:
        ConfigurationError: a logit is NaN or infinite.

    Example:
        >>> check_finite_logits(SplitLogits(torch.zeros(1, 2), torch.zeros(1)))
    """
    invalid = int((~teacher.logits.isfinite()).any(dim=1).sum())
    if invalid:
        raise ConfigurationError(
            f"teacher: returned NaN or infinite logits for {invalid} of {len(teacher.logits)} images, expected finite "
            "values; check its weights and its precision"
        )


def check_better_than_chance(teacher: SplitLogits) -> None:
    """Check that a teacher's accuracy is above the share of the most frequent class by more than chance.

    Usual reasons for a teacher at chance are inputs with other means and standard deviations, and outputs in another
    order than the classes of the data. The message names the second if another order has a high accuracy.

    Args:
        teacher: logits and labels of samples that the student is not trained on.

    Raises:
        ConfigurationError: the accuracy is at chance.

    Example:
        >>> labels = torch.arange(100) % 4
        >>> check_better_than_chance(SplitLogits(torch.eye(4)[labels], labels))
    """
    n, classes = teacher.logits.shape
    limit = chance_limit(teacher.labels)
    if teacher.accuracy > limit:
        return
    message = (
        f"teacher: got an accuracy of {teacher.accuracy:.1%} on {n} validation and test images, expected more than "
        f"{limit:.1%}, which is chance"
    )
    reordered = _accuracy_in_best_order(teacher, classes)
    if reordered > max(limit, 0.5):
        raise ConfigurationError(
            f"{message}; with its outputs in another order it would be {reordered:.1%}: pass --teacher-classes (in "
            "Python: load_network(class_names=...)), the class names in the order of the outputs"
        )
    raise ConfigurationError(
        f"{message}; pass the mean and the standard deviation of its inputs (--teacher-mean, --teacher-std) if they "
        "are not [-1, 1], and check its weights"
    )


def chance_limit(labels: Tensor) -> float:
    """Return the largest accuracy that is attributed to chance: the share of the most frequent class, and a margin.

    It is at most that of one error, so that a classifier without errors is above it for any labels.

    Example:
        >>> round(chance_limit(torch.arange(100) % 2), 6)
        0.65
    """
    n = len(labels)
    share = float(torch.bincount(labels).max()) / n
    return min(share + STANDARD_ERRORS * math.sqrt(share * (1 - share) / n), (n - 1) / n)


def _accuracy_in_best_order(teacher: SplitLogits, classes: int) -> float:
    """Return the largest accuracy over all orders of the outputs."""
    from scipy.optimize import linear_sum_assignment

    counts = torch.zeros(classes, classes)
    counts.index_put_((teacher.logits.argmax(dim=1), teacher.labels), torch.ones(len(teacher.labels)), accumulate=True)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    return float(counts[rows, columns].sum()) / len(teacher.labels)
