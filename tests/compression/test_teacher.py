"""Teachers at chance, and teachers whose outputs are in another order."""

from __future__ import annotations

import pytest
import torch

from ganmc_lightning.compression.teacher import (
    SplitLogits,
    check_better_than_chance,
    check_class_order,
    check_finite_logits,
)
from ganmc_lightning.exceptions import ConfigurationError


def outputs(predicted: torch.Tensor, labels: torch.Tensor) -> SplitLogits:
    return SplitLogits(torch.eye(4)[predicted], labels)


def test_teachers() -> None:
    labels = torch.arange(400) % 4
    noise = torch.randint(4, (400,), generator=torch.Generator().manual_seed(0))
    check_better_than_chance(outputs(torch.where(torch.arange(400) < 100, labels, noise), labels))
    with pytest.raises(ConfigurationError, match="this is chance; pass the mean"):
        check_better_than_chance(outputs(noise, labels))


def test_the_most_frequent_class_is_chance() -> None:
    labels = (torch.arange(100) < 10).long()
    with pytest.raises(ConfigurationError, match=r"accuracy of 90\.0% on 100"):
        check_better_than_chance(outputs(torch.zeros(100, dtype=torch.long), labels))


def test_a_teacher_of_a_rare_class_with_false_alarms_is_accepted() -> None:
    labels = (torch.arange(280) < 14).long()
    predicted = labels.clone()
    predicted[:3] = 0
    predicted[-2:] = 1
    check_better_than_chance(outputs(predicted, labels))
    predicted[-60:] = 1  # less accurate than the frequent class
    check_better_than_chance(outputs(predicted, labels))
    with pytest.raises(ConfigurationError, match=r"50\.0% in the mean over classes"):
        check_better_than_chance(SplitLogits(torch.eye(2)[0 * labels], labels))


def sorted_as_text(labels: torch.Tensor) -> SplitLogits:
    """Return perfect outputs in the order of numbers, for labels in the order of their names as text."""
    return SplitLogits(torch.eye(12)[torch.tensor([int(name) for name in NAMES])[labels]], labels)


NAMES = sorted(str(number) for number in range(12))


def test_an_order_that_is_right_for_some_classes_is_refused() -> None:
    val, test = (sorted_as_text(torch.arange(n) % 12) for n in (36, 120))
    check_better_than_chance(test)  # 2 of 12 classes have an equal position
    order = "0,1,2,3,4,5,6,7,8,9,10,11"
    with pytest.raises(
        ConfigurationError, match=f"in another order it would be 100.0%: pass --teacher-classes {order},"
    ):
        check_class_order(val, test, NAMES, order_is_known=False)
    check_class_order(val, test, NAMES, order_is_known=True)
    with pytest.raises(
        ConfigurationError, match=r"add class_names .*PretrainedClassifier\(teacher, class_order=\[0, 1, 10,"
    ):
        check_class_order(val, test, (), order_is_known=False)


def test_a_wrong_order_that_was_passed_is_refused_at_chance() -> None:
    labels = torch.arange(80) % 4
    wrong = outputs((labels + 1) % 4, labels)
    with pytest.raises(ConfigurationError, match=r"100\.0%: check --teacher-classes"):
        check_class_order(wrong, wrong, "abcd", order_is_known=True)


def test_the_errors_of_a_weak_teacher_are_no_other_order() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (400,), generator=random)
    guesses = torch.randint(10, (400,), generator=random)
    predicted = torch.where(torch.rand(400, generator=random) < 0.2, labels, guesses)
    weak = SplitLogits(torch.eye(10)[predicted], labels)
    val, test = (SplitLogits(*(tensor[part] for tensor in weak)) for part in (slice(100), slice(100, None)))
    check_class_order(val, test, "abcdefghij", order_is_known=False)


@pytest.mark.parametrize(("n", "rare"), [(6, 3), (100, 5), (500, 5)])
def test_teachers_without_errors_are_accepted_for_few_or_imbalanced_images(n: int, rare: int) -> None:
    labels = (torch.arange(n) < rare).long()
    check_better_than_chance(outputs(labels, labels))


def test_logits_that_are_not_finite() -> None:
    logits = torch.zeros(4, 2)
    logits[1, 0], logits[3, 1] = float("nan"), float("inf")
    with pytest.raises(ConfigurationError, match="NaN or infinite logits for 2 of 4 images"):
        check_finite_logits(SplitLogits(logits, torch.zeros(4, dtype=torch.long)))
