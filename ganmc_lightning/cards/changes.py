"""Classes and confusions that differ between teacher and student, with example images."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

MAX_IMAGE_SIZE = 96
"""Maximum width and height in pixels of an embedded image; larger ones are reduced."""


class ClassChange(NamedTuple):
    """Share of correct predictions of a class.

    Attributes:
        label: number of the class.
        name: name of the class.
        samples: number of test samples.
        student: share of correct predictions of the student.
        teacher: share of correct predictions of the teacher; None without a teacher.
    """

    label: int
    name: str
    samples: int
    student: float
    teacher: float | None

    @property
    def change(self) -> float | None:
        """Share of the student minus that of the teacher; None without a teacher."""
        return None if self.teacher is None else self.student - self.teacher


class Confusion(NamedTuple):
    """Samples of one class for which the student predicts another class.

    Attributes:
        name: name of the class.
        predicted: name of the predicted class.
        student: number of such predictions of the student.
        teacher: number of such predictions of the teacher; None without a teacher.
    """

    name: str
    predicted: str
    student: int
    teacher: int | None


class ExampleImage(NamedTuple):
    """A test image that the student misclassifies.

    Attributes:
        uri: PNG file as a data URI.
        predicted: name of the class that the student predicts.
    """

    uri: str
    predicted: str


class ClassExamples(NamedTuple):
    """Misclassified images of a class.

    Attributes:
        name: name of the class.
        images: the images.
    """

    name: str
    images: tuple[ExampleImage, ...]


def class_changes(
    labels: NDArray[np.int64],
    student: NDArray[np.int64],
    teacher: NDArray[np.int64] | None,
    class_names: Sequence[str],
) -> tuple[ClassChange, ...]:
    """Compute the share of correct predictions of each class that occurs, in the order of the labels.

    Args:
        labels: int64 (N,) in 0..K-1.
        student: predictions of the student, int64 (N,).
        teacher: predictions of the teacher, int64 (N,), or None.
        class_names: names of the K classes.

    Example:
        >>> labels, student, teacher = np.array([0, 0, 2]), np.array([0, 1, 2]), np.array([0, 0, 1])
        >>> [(change.name, change.change) for change in class_changes(labels, student, teacher, "abc")]
        [('a', -0.5), ('c', 1.0)]
    """
    samples = np.bincount(labels, minlength=len(class_names))
    student_correct = np.bincount(labels, student == labels, len(class_names))
    teacher_correct = None if teacher is None else np.bincount(labels, teacher == labels, len(class_names))
    return tuple(
        ClassChange(
            code,
            class_names[code],
            int(samples[code]),
            float(student_correct[code] / samples[code]),
            None if teacher_correct is None else float(teacher_correct[code] / samples[code]),
        )
        for code in np.flatnonzero(samples).tolist()
    )


def added_confusions(
    labels: NDArray[np.int64],
    student: NDArray[np.int64],
    teacher: NDArray[np.int64] | None,
    class_names: Sequence[str],
) -> tuple[Confusion, ...]:
    """Count pairs of classes that the student confuses more often than the teacher, by decreasing difference.

    Args:
        labels: int64 (N,) in 0..K-1.
        student: predictions of the student, int64 (N,).
        teacher: predictions of the teacher, int64 (N,); None to count all confusions of the student.
        class_names: names of the K classes.

    Example:
        >>> labels, student, teacher = np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([1, 0, 0])
        >>> added_confusions(labels, student, teacher, ["cat", "dog"])
        (Confusion(name='cat', predicted='dog', student=2, teacher=1),)
    """
    student_counts = _confusions(labels, student)
    teacher_counts = {} if teacher is None else _confusions(labels, teacher)
    added = {pair: count - teacher_counts.get(pair, 0) for pair, count in student_counts.items()}
    return tuple(
        Confusion(
            class_names[label],
            class_names[predicted],
            student_counts[label, predicted],
            None if teacher is None else teacher_counts.get((label, predicted), 0),
        )
        for label, predicted in sorted(added, key=lambda pair: (-added[pair], pair))
        if added[label, predicted] > 0
    )


def example_images(images: Tensor, student: NDArray[np.int64], class_names: Sequence[str]) -> tuple[ExampleImage, ...]:
    """Encode images with the student's predictions.

    Args:
        images: uint8 (N, C, H, W) with 1 or 3 channels.
        student: predictions of the student, int64 (N,).
        class_names: names of the K classes.
    """
    return tuple(
        ExampleImage(png_uri(image), class_names[code]) for image, code in zip(images, student.tolist(), strict=True)
    )


def png_uri(image: Tensor) -> str:
    """Encode an image of at most 96 pixels a side as a data URI; a larger image is reduced.

    Args:
        image: uint8 (C, H, W) with 1 or 3 channels.

    Example:
        >>> import torch
        >>> png_uri(torch.zeros(1, 8, 8, dtype=torch.uint8))[:22]
        'data:image/png;base64,'
    """
    from PIL import Image  # imported here: cards without images do not need it

    pixels = image.detach().cpu().permute(1, 2, 0).numpy()
    encoded = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    encoded.thumbnail((MAX_IMAGE_SIZE, MAX_IMAGE_SIZE))
    file = BytesIO()
    encoded.save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode('ascii')}"


def _confusions(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[tuple[int, int], int]:
    wrong = labels != predicted
    pairs, counts = np.unique(np.stack([labels[wrong], predicted[wrong]]), axis=1, return_counts=True)
    return {(int(label), int(code)): int(count) for (label, code), count in zip(pairs.T, counts, strict=True)}
