"""Files of a compression: the student, its exports, the card and ``result.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.cards import CardFile, ClassifierCard, make_classifier_card, measure_classifier
from ganmc_lightning.cards.measuring import latency_note
from ganmc_lightning.cards.results import Role
from ganmc_lightning.compression.inputs import StudentNetwork
from ganmc_lightning.compression.teacher import SplitLogits
from ganmc_lightning.data.datasets import TensorDataset
from ganmc_lightning.data.splits import Split
from ganmc_lightning.exceptions import ConfigurationError, ExportError
from ganmc_lightning.export import ExportedFile, export_network
from ganmc_lightning.io.atomic import atomic_write

CHECKPOINT, STEM = "student.ckpt", "student"
CALIBRATION_IMAGES = 512
"""Number of training images that determine the ranges of int8 activations."""


class Evaluated(NamedTuple):
    """A classifier and its outputs.

    Attributes:
        name: name on the card.
        role: role on the card.
        network: the network.
        val: logits of the validation samples.
        test: logits of the test samples.
    """

    name: str
    role: Role
    network: nn.Module
    val: SplitLogits
    test: SplitLogits


def copy_file(source: Path, target: Path) -> None:
    """Copy a file atomically."""
    with atomic_write(target, "wb") as file:
        file.write(source.read_bytes())


def export_student(
    student: StudentNetwork, out: Path, formats: Sequence[str], spec: DataSpec, train: Split
) -> tuple[list[ExportedFile], list[str]]:
    """Write ``student.onnx`` and the other formats, each verified against the network.

    A format that fails does not prevent the others, because the student has been trained by then.

    Args:
        student: the trained student.
        out: output folder.
        formats: formats to write, see :func:`~ganmc_lightning.export.export_network`.
        spec: specification of the data.
        train: training samples, of which some calibrate int8 files.

    Returns:
        The files, and one line about each format that was not written.
    """
    calibration = None
    if "int8" in formats:
        count = min(CALIBRATION_IMAGES, len(train))
        places = torch.linspace(0, len(train) - 1, count).long().tolist()
        calibration = torch.stack([train[place][0] for place in places])
    files, failures = [], []
    for name in formats:
        try:
            files += export_network(
                student.network, out, [name], spec=spec, calibration=calibration, stem=STEM, recipe=student.recipe
            )
        except (ConfigurationError, ExportError) as error:
            failures.append(f"Not exported as {name}: {error}")
    return files, failures


def make_card(
    models: Sequence[Evaluated],
    test: Split,
    spec: DataSpec,
    files: Sequence[ExportedFile],
    *,
    command: str,
    seed: int,
    environment: Mapping[str, str],
    notes: Sequence[str],
) -> ClassifierCard:
    """Measure the costs of the classifiers and compare them on the test samples."""
    image = torch.zeros(1, *spec.sample_shape)
    results = [
        measure_classifier(
            model.name, model.role, model.network, image, model.test.logits, model.val.logits, model.val.labels
        )
        for model in models
    ]
    images: Tensor | None = None
    if isinstance(test, TensorDataset) and spec.sample_shape[0] in (1, 3):  # other channels are no colors
        images = test.inputs
    return make_classifier_card(
        results,
        models[0].test.labels,
        spec.class_names,
        command=command,
        seed=seed,
        environment=environment,
        files=[CardFile(file.path.name, file.format, file.bytes, file.max_difference, file.latency) for file in files],
        images=images,
        notes=[latency_note(image.device), *notes],
    )


def agreement_metrics(files: Sequence[ExportedFile]) -> dict[str, float]:
    """Return the agreement of int8 files with the student on training samples, for ``result.json``."""
    return {f"train/{file.path.name}/agreement": file.agreement for file in files if file.agreement is not None}


def agreement_notes(files: Sequence[ExportedFile]) -> list[str]:
    """Return the agreement of int8 files with the student, for the card."""
    return [
        f"{file.path.name}: {file.agreement:.2%} of up to {CALIBRATION_IMAGES} training images, which determine the "
        "ranges of its activations, keep the student's class."
        for file in files
        if file.agreement is not None
    ]


def accuracy_metrics(models: Sequence[Evaluated]) -> dict[str, float]:
    """Return the accuracies of all classifiers, for ``result.json``."""
    return {
        f"{split}/{model.name}/accuracy": outputs.accuracy
        for model in models
        for split, outputs in (("val", model.val), ("test", model.test))
    }
