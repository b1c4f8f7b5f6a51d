"""Teachers at chance."""

from __future__ import annotations

import pytest
import torch

from ganmc_lightning.compression.teacher import SplitLogits, check_better_than_chance, check_finite_logits
from ganmc_lightning.exceptions import ConfigurationError


def outputs(predicted: torch.Tensor, labels: torch.Tensor) -> SplitLogits:
    return SplitLogits(torch.eye(4)[predicted], labels)


def test_teachers() -> None:
    labels = torch.arange(400) % 4
    noise = torch.randint(4, (400,), generator=torch.Generator().manual_seed(0))
    check_better_than_chance(outputs(torch.where(torch.arange(400) < 100, labels, noise), labels))
    with pytest.raises(ConfigurationError, match="which is chance; pass the mean"):
        check_better_than_chance(outputs(noise, labels))
    with pytest.raises(ConfigurationError, match=r"in another order it would be 100.0%: pass --teacher-classes"):
        check_better_than_chance(outputs((labels + 1) % 4, labels))


def test_the_most_frequent_class_is_chance() -> None:
    labels = (torch.arange(100) < 10).long()
    with pytest.raises(ConfigurationError, match=r"accuracy of 90\.0% on 100"):
        check_better_than_chance(outputs(torch.zeros(100, dtype=torch.long), labels))


@pytest.mark.parametrize(("n", "rare"), [(6, 3), (100, 5), (500, 5)])
def test_teachers_without_errors_are_accepted_for_few_or_imbalanced_images(n: int, rare: int) -> None:
    labels = (torch.arange(n) < rare).long()
    check_better_than_chance(outputs(labels, labels))


def test_logits_that_are_not_finite() -> None:
    logits = torch.zeros(4, 2)
    logits[1, 0], logits[3, 1] = float("nan"), float("inf")
    with pytest.raises(ConfigurationError, match="NaN or infinite logits for 2 of 4 images"):
        check_finite_logits(SplitLogits(logits, torch.zeros(4, dtype=torch.long)))
