"""Card of a classifier: teacher, student and baselines on the same test samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.cards.changes import (
    ClassChange,
    ClassExamples,
    Confusion,
    added_confusions,
    class_changes,
    example_images,
)
from ganmc_lightning.cards.checks import check_images, check_results
from ganmc_lightning.cards.page import Conclusion, make_templates
from ganmc_lightning.cards.plain import to_plain
from ganmc_lightning.cards.results import CardFile, ClassifierResult
from ganmc_lightning.cards.scores import ClassifierScores, predictions, score_classifier, to_array
from ganmc_lightning.cards.text import calibration_svg, conclude, cost_svg, notes_of_card, summarize_classes
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.format_version import FORMAT_KEY, FORMAT_VERSION
from ganmc_lightning.io.structured import write_json

LISTED = 10
"""Number of classes and confusions on the page; ``card.json`` has all."""
EXAMPLE_CLASSES, EXAMPLES = 3, 6


@dataclass(frozen=True)
class ClassifierCard:
    """Teacher, student and baselines on the same test samples.

    Attributes:
        models: scores and costs, in the order of the page: teacher, students, baselines.
        samples: number of test samples.
        num_classes: number of classes.
        classes: share of correct predictions of each class that occurs, of the first student and the teacher; the
            largest decreases first.
        confusions: pairs of classes that the first student confuses more often than the teacher.
        examples: images of the classes with the largest decreases that the first student misclassifies.
        files: exported files of the first student.
        command: command line, or a description of the call.
        seed: random seed of the run and of the bootstrap intervals.
        environment: name -> value, such as versions of packages.
        notes: remarks of the caller.
    """

    models: tuple[ClassifierScores, ...]
    samples: int
    num_classes: int
    classes: tuple[ClassChange, ...]
    confusions: tuple[Confusion, ...]
    examples: tuple[ClassExamples, ...]
    files: tuple[CardFile, ...]
    command: str
    seed: int
    environment: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def student(self) -> ClassifierScores:
        """The first student."""
        return next(model for model in self.models if model.role == "student")

    @property
    def teacher(self) -> ClassifierScores | None:
        """The teacher, or None."""
        return next((model for model in self.models if model.role == "teacher"), None)

    @property
    def conclusion(self) -> Conclusion:
        """The result in one or two sentences; a baseline that is as good as the student comes first."""
        return conclude(self.models, self.samples)

    def render(self) -> str:
        """Render the card as HTML."""
        sizes = {size for model in self.models for size in model.latency}
        sizes |= {size for file in self.files for size in file.latency}
        return _TEMPLATES.get_template("classifier.html.j2").render(
            card=self,
            listed=LISTED,
            notes=[*notes_of_card(self.models, self.samples), *self.notes],
            class_summary=summarize_classes(self.classes, LISTED),
            batch_sizes=sorted(sizes),
            costs=cost_svg(self.models),
            calibration=calibration_svg(self.models),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers of the card, without images, for a JSON file."""
        content: dict[str, Any] = to_plain(self)
        del content["examples"]
        for entry, item in zip(content["classes"], self.classes, strict=True):
            entry["change"] = item.change
        return {FORMAT_KEY: FORMAT_VERSION, "conclusion": to_plain(self.conclusion), **content}

    def write(self, folder: Path | str) -> Path:
        """Write ``card.html`` and ``card.json``.

        Args:
            folder: folder of the files, created if necessary.

        Returns:
            Path of the page.

        Raises:
            ConfigurationError: a file cannot be written.
        """
        path = Path(folder) / "card.html"
        text = self.render()
        write_json(path.with_suffix(".json"), self.to_dict())
        with atomic_write(path) as file:
            file.write(text)
        return path


def make_classifier_card(
    results: Sequence[ClassifierResult],
    labels: Tensor,
    class_names: Sequence[str] = (),
    *,
    command: str = "",
    seed: int = 0,
    environment: Mapping[str, str] | None = None,
    files: Sequence[CardFile] = (),
    images: Tensor | None = None,
    notes: Sequence[str] = (),
) -> ClassifierCard:
    """Compare classifiers on the same test samples.

    Args:
        results: outputs and costs of at least one student, at most one teacher, and any number of baselines. The card
            is that of the first student.
        labels: int64 (N,), labels of the test samples in 0..K-1.
        class_names: names of the K classes; empty for their numbers (default).
        command: command line, or a description of the call (default: none).
        seed: random seed of the run and of the bootstrap intervals (default: 0).
        environment: name -> value, such as versions of packages (default: none).
        files: exported files of the first student (default: none).
        images: test images, uint8 (N, C, H, W) with 1 or 3 channels, of which misclassified ones are shown; None to
            show none (default).
        notes: remarks for the page, such as how the student was trained (default: none).

    Raises:
        ConfigurationError: roles, shapes or values of the arguments are invalid.

    Example:
        >>> import torch
        >>> labels = torch.arange(100) % 2
        >>> logits = torch.eye(2)[labels] * 4
        >>> wrong = torch.where(torch.arange(100)[:, None] < 10, -logits, logits)
        >>> results = [ClassifierResult("big", "teacher", logits, 900), ClassifierResult("small", "student", wrong, 90)]
        >>> print(make_classifier_card(results, labels).conclusion.text)
        The student keeps 90.00 of the teacher's 100.00 points of accuracy with 1/10 of the parameters \
(-10.00 points, 95 % interval -16.00 to -5.00).
    """
    names = check_results(results, labels, class_names)
    check_images(images, len(labels))
    truth: NDArray[np.int64] = to_array(labels)
    student = next(result for result in results if result.role == "student")
    teacher = next((result for result in results if result.role == "teacher"), None)
    ordered = sorted(results, key=lambda result: ("teacher", "student", "baseline").index(result.role))
    predicted = predictions(student)
    of_teacher = None if teacher is None else predictions(teacher)
    classes = class_changes(truth, predicted, of_teacher, names)
    classes = tuple(sorted(classes, key=lambda item: item.student if item.change is None else item.change))
    return ClassifierCard(
        models=tuple(score_classifier(result, truth, student, teacher, seed) for result in ordered),
        samples=len(truth),
        num_classes=len(names),
        classes=classes,
        confusions=added_confusions(truth, predicted, of_teacher, names),
        examples=() if images is None else _examples(images, truth, predicted, of_teacher, names, classes),
        files=tuple(files),
        command=command,
        seed=seed,
        environment=dict(environment or {}),
        notes=tuple(notes),
    )


def _examples(
    images: Tensor,
    labels: NDArray[np.int64],
    student: NDArray[np.int64],
    teacher: NDArray[np.int64] | None,
    names: Sequence[str],
    classes: Sequence[ClassChange],
) -> tuple[ClassExamples, ...]:
    """Return misclassified images of the first classes; those that the teacher classifies correctly come first."""
    found = []
    for item in classes[:EXAMPLE_CLASSES]:
        wrong = np.flatnonzero((labels == item.label) & (student != labels))
        if teacher is not None:
            wrong = wrong[np.argsort(teacher[wrong] != labels[wrong], kind="stable")]
        chosen = wrong[:EXAMPLES]
        if len(chosen):
            found.append(ClassExamples(item.name, example_images(images[chosen.tolist()], student[chosen], names)))
    return tuple(found)


_TEMPLATES = make_templates("ganmc_lightning.cards")
