"""Outputs of a classifier on a split, and checks of a teacher: finite, better than chance, classes in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ganmc_lightning.exceptions import ConfigurationError

STANDARD_ERRORS = 3.0
"""Differences of at most this many standard errors are attributed to chance."""


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

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes of their share of correct predictions.

        Example:
            >>> SplitLogits(torch.tensor([[1.0, 0.0]] * 4), torch.tensor([0, 0, 0, 1])).balanced_accuracy
            0.5
        """
        return float(_recalls(self)[0].mean())


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
    """Check that a teacher is better than chance, see :func:`is_better_than_chance`.

    A usual reason for a teacher at chance are inputs with other means and standard deviations.

    Args:
        teacher: logits and labels of samples that the student is not trained on.

    Raises:
        ConfigurationError: the teacher is at chance.

    Example:
        >>> labels = torch.arange(100) % 4
        >>> check_better_than_chance(SplitLogits(torch.eye(4)[labels], labels))
    """
    if is_better_than_chance(teacher):
        return
    share = float(torch.bincount(teacher.labels).max()) / len(teacher.labels)
    raise ConfigurationError(
        f"teacher: got an accuracy of {teacher.accuracy:.1%} on {len(teacher.labels)} validation and test images, and "
        f"{teacher.balanced_accuracy:.1%} in the mean over classes; with {share:.1%} of the images in the most "
        "frequent class, this is chance; pass the mean and the standard deviation of its inputs (--teacher-mean, "
        "--teacher-std) if they are not [-1, 1], and check its weights"
    )


def is_better_than_chance(outputs: SplitLogits) -> bool:
    """Whether predictions are better than those of the most frequent class, or depend on the labels.

    The first is a paired test of the accuracies. The second accepts classifiers of rare classes, whose false alarms
    may outweigh their hits: if the predictions did not depend on the labels, the share of correct predictions of a
    class would be the share of all predictions of this class. Predictions without errors are always better.

    Example:
        >>> labels = (torch.arange(200) < 10).long()
        >>> constant = torch.zeros_like(labels)
        >>> is_better_than_chance(SplitLogits(torch.eye(2)[constant], labels))
        False
    """
    logits, labels = outputs
    constant = torch.full_like(labels, int(torch.bincount(labels).argmax()))
    if outputs.accuracy == 1 or is_more_accurate(SplitLogits(one_hot(constant, logits.shape[1]), labels), outputs):
        return True
    recalls, sizes, shares = _recalls(outputs)
    excess = float((recalls - shares).sum())
    return excess > STANDARD_ERRORS * math.sqrt(float((shares * (1 - shares) / sizes).sum()))


def is_more_accurate(one: SplitLogits, other: SplitLogits, standard_errors: float = STANDARD_ERRORS) -> bool:
    """Whether the second accuracy is larger by more than the paired standard error of the difference allows.

    Args:
        one: outputs for some samples.
        other: outputs of another classifier for these samples.
        standard_errors: multiple of the standard error (default: :data:`STANDARD_ERRORS`).

    Example:
        >>> labels = torch.arange(100) % 2
        >>> constant, correct = SplitLogits(torch.eye(2)[0 * labels], labels), SplitLogits(torch.eye(2)[labels], labels)
        >>> is_more_accurate(constant, correct), is_more_accurate(correct, constant)
        (True, False)
    """
    first, second = ((item.logits.argmax(dim=1) == item.labels).double() for item in (one, other))
    difference = second - first
    return float(difference.mean()) > standard_errors * float(difference.std()) / math.sqrt(len(difference))


def check_class_order(val: SplitLogits, test: SplitLogits, class_names: Sequence[str], order_is_known: bool) -> None:
    """Check that no other order of a teacher's outputs is better, such as that of folders sorted as numbers.

    The order with the largest accuracy on the validation images is compared with the present one on the test images.

    Args:
        val: logits and labels of the validation samples.
        test: those of the test samples.
        class_names: class names of the data; empty for unnamed classes.
        order_is_known: whether the class names of the teacher are known; another order is then refused only if the
            teacher is at chance in the present one.

    Raises:
        ConfigurationError: another order is better.

    Example:
        >>> labels = torch.arange(30) % 3
        >>> outputs = SplitLogits(torch.eye(3)[(labels + 1) % 3], labels)
        >>> check_class_order(outputs, outputs, ("a", "b", "c"), order_is_known=False)
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: teacher: got an accuracy of 0.0% on 30 test images, with its \
outputs in another order it would be 100.0%: pass --teacher-classes c,a,b, the class names in the order of the \
outputs, or another order to keep it (in Python: load_network(class_names=...), or PretrainedClassifier(teacher, \
class_order=[1, 2, 0]))
    """
    if order_is_known and is_better_than_chance(test):
        return
    reordered = _in_order(test, _best_labels(val))
    if not is_more_accurate(test, reordered) or not is_better_than_chance(reordered):
        return
    labels = _best_labels(SplitLogits(*map(torch.cat, zip(val, test, strict=True))))
    message = (
        f"teacher: got an accuracy of {test.accuracy:.1%} on {len(test.labels)} test images, with its outputs in "
        f"another order it would be {reordered.accuracy:.1%}"
    )
    if order_is_known:
        raise ConfigurationError(f"{message}: check --teacher-classes, the class names in the order of the outputs")
    python = f"PretrainedClassifier(teacher, class_order={labels.argsort().tolist()})"
    if not class_names:
        raise ConfigurationError(
            f"{message}: add class_names to the data and pass --teacher-classes (in Python: {python})"
        )
    names = ",".join(f'"{name}"' if "," in name else name for name in (class_names[label] for label in labels.tolist()))
    raise ConfigurationError(
        f"{message}: pass --teacher-classes {names}, the class names in the order of the outputs, or another order to "
        f"keep it (in Python: load_network(class_names=...), or {python})"
    )


def _recalls(outputs: SplitLogits) -> tuple[Tensor, Tensor, Tensor]:
    """Return the share of correct predictions, the number of samples and the share of predictions of each class.

    Classes without samples are omitted.
    """
    predicted, labels = outputs.logits.argmax(dim=1), outputs.labels
    classes = outputs.logits.shape[1]
    sizes, found, hits = (
        torch.bincount(values, minlength=classes).double()
        for values in (labels, predicted, labels[predicted == labels])
    )
    present = sizes > 0
    return hits[present] / sizes[present], sizes[present], found[present] / len(labels)


def _best_labels(teacher: SplitLogits) -> Tensor:
    """Return the label of each output for the order of the outputs with the largest accuracy."""
    from scipy.optimize import linear_sum_assignment

    classes = teacher.logits.shape[1]
    counts = 0.5 * torch.eye(classes)  # of orders with equal accuracies, one near the present order
    counts.index_put_((teacher.logits.argmax(dim=1), teacher.labels), torch.ones(len(teacher.labels)), accumulate=True)
    return torch.from_numpy(linear_sum_assignment(counts.numpy(), maximize=True)[1])


def _in_order(teacher: SplitLogits, labels: Tensor) -> SplitLogits:
    return SplitLogits(teacher.logits[:, labels.argsort()], teacher.labels)
