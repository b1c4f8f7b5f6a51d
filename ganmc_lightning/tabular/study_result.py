"""Result of the random-forest study, complete or of one training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganmc_lightning.tabular.student import StudentClassifier

NUMBERS = ("metrics", "validation", "curves", "sizes")
"""Fields of a result that contain numbers, not models."""


@dataclass
class StudyResult:
    """Result of the study.

    Attributes:
        metrics: ``<student>/<metric>`` on the test split, with size and speed of the student, and
            ``<student>/labeled_samples``, the number of labels that its fit and its selection used.
        validation: ``<student>/<metric>`` on the validation split, for the students with a selected size.
        curves: per training set, the metric over the number of fully grown trees.
        sizes: per training set, the metric over the size of a single tree on all samples.
        students: students with a selected size by name, except those that an earlier process fitted.
        teacher: the fitted teacher.
        earlier_seconds: time that earlier processes took for the parts that were read from files.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    curves: dict[str, dict[str, Sequence[float]]] = field(default_factory=dict)
    sizes: dict[str, dict[str, Sequence[float]]] = field(default_factory=dict)
    students: dict[str, StudentClassifier] = field(default_factory=dict)
    teacher: Any = None
    earlier_seconds: float = 0.0

    def add(self, part: StudyResult) -> None:
        """Add the numbers and students of another training set."""
        for name in NUMBERS:
            getattr(self, name).update(getattr(part, name))
        self.students |= part.students
        self.earlier_seconds += part.earlier_seconds

    def numbers(self) -> dict[str, Any]:
        """Return the numbers, for a file that :meth:`from_numbers` reads."""
        return {name: getattr(self, name) for name in NUMBERS}

    @classmethod
    def from_numbers(cls, content: Mapping[str, Any], seconds: float) -> StudyResult:
        """Return the result with the numbers of a file; null, which replaces NaN in JSON, becomes NaN.

        Args:
            content: value of :meth:`numbers`.
            seconds: time of the process that computed them.
        """
        return cls(**{name: _null_to_nan(content[name]) for name in NUMBERS}, earlier_seconds=seconds)

    def to_dict(self, metric: str) -> dict[str, Any]:
        """Convert all numbers to the fields of ``result.json``.

        Args:
            metric: metric of the study; one minus it is added as ``error``.
        """
        errors = {
            f"{name.rpartition('/')[0]}/error": 1 - value
            for name, value in self.metrics.items()
            if name.endswith(f"/{metric}")
        }
        return {
            "metrics": {
                **{f"val/{name}": value for name, value in self.validation.items()},
                **{f"test/{name}": value for name, value in (self.metrics | errors).items()},
            },
            "curves": {
                f"{name}/{metric}": dict(zip(curve["trees"], curve["score"], strict=True))
                for name, curve in self.curves.items()
            },
            "costs": {
                name: {"bytes": curve["bytes"], "seconds": curve["seconds"]} for name, curve in self.curves.items()
            },
            "sizes": self.sizes,
        }


def _null_to_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_to_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_null_to_nan(item) for item in value]
    return float("nan") if value is None else value
