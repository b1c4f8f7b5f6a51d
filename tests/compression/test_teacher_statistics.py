"""Teachers whose mean and standard deviation were assumed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec, Statistics
from ganmc_lightning.compression.teacher import SplitLogits
from ganmc_lightning.compression.teacher_statistics import check_input_statistics
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Normalize, NormalizedInput, PretrainedClassifier
from ganmc_lightning.networks.training_data import set_training_data

IMAGES = torch.rand(200, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
DATA = Statistics(torch.tensor([0.45, 0.5, 0.6]), torch.tensor([0.2, 0.2, 0.2]))


class Threshold(nn.Module):
    """Classify images by whether the mean of their inputs is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, inputs: Tensor) -> Tensor:
        excess = inputs.mean(dim=(1, 2, 3)) - self.threshold
        return torch.stack([-excess, excess], dim=1)


def make_teacher(mean: object, std: object, source: str, threshold: float = 0.0) -> PretrainedClassifier:
    teacher = PretrainedClassifier(Threshold(threshold), mean, std).eval()  # type: ignore[arg-type]
    teacher.statistics_source = source
    return teacher


def check(teacher: nn.Module, labels: Tensor, statistics: Statistics | None = DATA) -> None:
    compute: Callable[[nn.Module], SplitLogits] = lambda network: SplitLogits(network(IMAGES), labels)  # noqa: E731
    check_input_statistics(teacher, compute(teacher), DataSpec((3, 2, 2), 2, statistics=statistics), compute)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5,) * 3, (0.5,) * 3, r"100\.0% with those of images in \[-1, 1\]; pass --teacher-mean 0.5,0.5,0.5 --tea"),
        (tuple(DATA.mean.tolist()), tuple(DATA.std.tolist()), r"100\.0% with those of the training images; pass"),
    ],
)
def test_other_statistics_are_better(mean: object, std: object, message: str) -> None:
    right = make_teacher(mean, std, "")
    labels = right(IMAGES).argmax(dim=1)
    wrong = make_teacher((0.0,) * 3, (1.0,) * 3, "timm")
    with pytest.raises(ConfigurationError, match=r"mean 0,0,0 and std 1,1,1 \(from timm\), and " + message):
        check(wrong, labels)
    wrong.statistics_source = ""  # passed by the user
    check(wrong, labels)
    right.statistics_source = "timm"
    check(right, labels)


def test_default_statistics() -> None:
    labels = make_teacher((0.0,) * 3, (1.0,) * 3, "", threshold=0.5)(IMAGES).argmax(dim=1)
    teacher = make_teacher(None, None, "default", threshold=0.5)
    message = r"mean 0\.5,0\.5,0\.5 and std 0\.5,0\.5,0\.5 \(the default\).*of images in \[0, 1\]; pass"
    with pytest.raises(ConfigurationError, match=message):
        check(teacher, labels, None)


def test_plain_modules() -> None:
    labels = make_teacher((0.0,) * 3, (1.0,) * 3, "", threshold=0.5)(IMAGES).argmax(dim=1)
    message = r"\(the default\).*of images in \[0, 1\]; pass.*NormalizedInput\(Normalize\(mean, std\), teacher\)"
    with pytest.raises(ConfigurationError, match=message):
        check(Threshold(0.5), labels, None)
    check(NormalizedInput(Normalize((0.0,) * 3, (1.0,) * 3), Threshold(0.5)), labels, None)
    check(NormalizedInput(Normalize((0.5,) * 3, (0.5,) * 3), Threshold(0.5)), labels, None)  # passed, to keep them
    check(Threshold(0.0), Threshold(0.0)(IMAGES).argmax(dim=1), None)
    trained = Threshold(0.5)
    set_training_data(trained, DataSpec((3, 2, 2), 2))
    check(trained, labels, None)


def test_a_difference_within_the_standard_error_is_accepted() -> None:
    teacher = make_teacher(*IMAGENET, "torchvision")
    labels = teacher(IMAGES).argmax(dim=1)
    other = teacher.replace(mean=(0.5,) * 3, std=(0.5,) * 3)(IMAGES).argmax(dim=1)
    differing = torch.nonzero(other != labels).flatten()
    assert len(differing) > 4
    labels[differing[: len(differing) // 2 + 1]] = other[differing[: len(differing) // 2 + 1]]
    check(teacher, labels)


def test_other_modules_are_not_checked() -> None:
    check(Threshold(0.0), torch.zeros(200, dtype=torch.long))


def test_statistics_at_chance_are_not_advised() -> None:
    labels = (torch.arange(200) < 100).long()
    check(make_teacher((0.0,) * 3, (1.0,) * 3, "timm", threshold=9.0), labels.logical_not().long())
