"""Validation of the arguments of a card."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ganmc_lightning.cards.results import ClassifierResult
from ganmc_lightning.exceptions import ConfigurationError


def check_results(results: Sequence[ClassifierResult], labels: Tensor, class_names: Sequence[str]) -> list[str]:
    """Validate roles, shapes and values of results, and return the names of the classes.

    Raises:
        ConfigurationError: there is no student or more than one teacher, names are not unique, labels are not those of
            the logits, or logits are not finite.
    """
    roles = [result.role for result in results]
    unknown = set(roles) - {"teacher", "student", "baseline"}
    if unknown:
        raise ConfigurationError(f"results: got role '{min(unknown)}', expected teacher, student or baseline")
    if "student" not in roles or roles.count("teacher") > 1:
        raise ConfigurationError(
            f"results: got {roles.count('teacher')} teachers and {roles.count('student')} students, expected at most "
            "one teacher and at least one student"
        )
    names = [result.name for result in results]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"results: got names {', '.join(names)}, expected unique names")
    num_classes = results[0].logits.shape[-1]
    if class_names and len(class_names) != num_classes:
        raise ConfigurationError(f"class_names: got {len(class_names)} names, expected {num_classes} as in the logits")
    for result in results:
        _check_logits(f"{result.name}: logits", result.logits, labels, num_classes)
        if result.val_logits is not None:
            if result.val_labels is None:
                raise ConfigurationError(f"{result.name}: got val_logits without val_labels, expected both")
            _check_logits(f"{result.name}: val_logits", result.val_logits, result.val_labels, num_classes)
    return [str(name) for name in class_names] or [str(code) for code in range(num_classes)]


def check_images(images: Tensor | None, samples: int) -> None:
    """Validate test images.

    Raises:
        ConfigurationError: the images are not uint8 (N, C, H, W) with 1 or 3 channels.
    """
    if images is None:
        return
    shape = tuple(images.shape)
    if images.dtype != torch.uint8 or len(shape) != 4 or shape[0] != samples or shape[1] not in (1, 3):
        raise ConfigurationError(
            f"images: got {images.dtype} {shape}, expected torch.uint8 ({samples}, C, H, W) with 1 or 3 channels"
        )


def _check_logits(name: str, logits: Tensor, labels: Tensor, num_classes: int) -> None:
    shape = tuple(logits.shape)
    if len(labels) == 0 or shape != (len(labels), num_classes):
        raise ConfigurationError(f"{name}: got shape {shape}, expected ({len(labels)}, {num_classes}) with samples")
    if not bool(logits.isfinite().all()):
        raise ConfigurationError(f"{name}: got values that are not finite, expected finite logits")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ConfigurationError(f"{name}: got labels from {low} to {high}, expected 0 to {num_classes - 1}")
