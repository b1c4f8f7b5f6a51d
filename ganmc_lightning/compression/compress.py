"""Compress an image classifier into a small one: train, choose, export, compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ganmc_lightning.compression.finish import CardSettings, finish
from ganmc_lightning.compression.inputs import LoadedSource, has_known_order, make_student, match_data, size_remark
from ganmc_lightning.compression.outputs import Evaluated
from ganmc_lightning.compression.plan import (
    describe_object,
    describe_plan,
    hash_data,
    hash_network,
    make_plan,
    read_plan,
)
from ganmc_lightning.compression.progress import Report
from ganmc_lightning.compression.stages import StageFactory
from ganmc_lightning.compression.teacher import (
    SplitLogits,
    check_better_than_chance,
    check_class_order,
    check_finite_logits,
)
from ganmc_lightning.compression.teacher_statistics import check_input_statistics
from ganmc_lightning.compression.work import CompressionWork, MakeCallbacks
from ganmc_lightning.data.datasets import DatasetSource
from ganmc_lightning.io.export_formats import check_export_formats
from ganmc_lightning.io.folder_lock import lock_folder
from ganmc_lightning.io.object_hash import hash_object
from ganmc_lightning.losses.distillation import DistillationLoss, KnowledgeDistillationLoss
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.precision import candidate_precisions
from ganmc_lightning.runs.result import RunResult
from ganmc_lightning.synthesizers import Synthesizer

EPOCHS, BATCH_SIZE, SMALLER = 100, 128, 10.0
FORMATS = ("onnx", "safetensors")
"""Default exports of the student."""


class ClassifierCompression(NamedTuple):
    """Result of :func:`compress_classifier`.

    Attributes:
        student: the small network, on the CPU, in evaluation mode.
        name: run that trained it: ``"student"``, or ``"student_<synthesizer>"`` if the samples of this synthesizer
            increased the validation accuracy.
        folder: folder of the student, its exports and the card.
        result: content of ``result.json``.
    """

    student: nn.Module
    name: str
    folder: Path
    result: RunResult


def compress_classifier(
    teacher: nn.Module,
    data: DatasetSource,
    out: str | Path,
    *,
    student: nn.Module | str | None = None,
    student_arguments: Mapping[str, Any] | None = None,
    smaller: float = SMALLER,
    loss: DistillationLoss | None = None,
    epochs: int = EPOCHS,
    seconds: float | None = None,
    batch_size: int = BATCH_SIZE,
    flip: bool = True,
    baseline: bool = False,
    gan: bool = False,
    synthesizers: Mapping[str, Synthesizer] | None = None,
    formats: Sequence[str] = FORMATS,
    seed: int = 0,
    command: str = "",
    environment: Mapping[str, str] | None = None,
    make_callbacks: MakeCallbacks = list,
    report: Report = print,
) -> ClassifierCompression:
    """Compress an image classifier into a small network by knowledge distillation (Hinton et al. 2015).

    Teacher and student process the same augmented images, with one cosine cycle of the learning rate (Beyer et al.
    2022). Validation samples choose the epoch, and whether synthetic samples are used; test samples only measure the
    result. A second call with equal arguments resumes a stopped compression and returns a complete one; with other
    ``formats``, it only writes the exports and the card again.

    The folder contains ``student.ckpt`` (see :func:`~ganmc_lightning.networks.load_network`), the exports
    ``student.*``, ``card.html``, ``result.json``, and the runs in ``runs/``.

    Args:
        teacher: trained network from float images (N, C, H, W) in [-1, 1] to logits (N, K).
        data: labeled images.
        out: output folder, new or of a call with equal arguments besides ``formats``.
        student: untrained network, or a reference such as ``"timm:mobilenetv3_small_050"``; None to propose one.
        student_arguments: arguments of the reference's factory (default: none).
        smaller: least ratio of the teacher's parameters to those of a proposed student (default: 10).
        loss: distillation loss (default: :class:`~ganmc_lightning.losses.KnowledgeDistillationLoss`).
        epochs: number of epochs of each network (default: 100).
        seconds: time limit of the training, met by fewer epochs (default: none).
        batch_size: number of samples in a step (default: 128).
        flip: whether images are flipped horizontally at random (default: True); False for digits.
        baseline: whether to train the student on the labels only as well, to compare with (default: False).
        gan: whether to train an AC-GAN, and a student with its images that the teacher recognizes (default: False).
        synthesizers: name -> synthesizer of a further student each (default: none); stored images that are validation
            or test images are omitted.
        formats: exports of the student, see :func:`~ganmc_lightning.export.export_network`. The card names those that
            fail.
        seed: random seed (default: 0).
        command: command line for the card (default: none).
        environment: name -> value for the card, such as versions of packages (default: none).
        make_callbacks: returns callbacks of a training; a progress bar replaces the lines of progress (default: none).
        report: called with each line of progress (default: ``print``).

    Raises:
        ConfigurationError: networks and data do not match; the teacher's accuracy is at chance, or larger with another
            order of its outputs or with other statistics than the ones assumed by
            :func:`~ganmc_lightning.networks.load_network`; the folder contains other files, or another process uses it;
            a format is unknown or its package is missing; or ``seconds`` is less than one epoch.
        DivergenceError: the training of a student diverged.
    """
    out = Path(out)
    formats = check_export_formats(formats) if formats else ()
    source, teacher, spec, remarks = match_data(teacher, data if isinstance(data, LoadedSource) else LoadedSource(data))
    made = make_student(student, student_arguments, teacher, spec, smaller=smaller, seed=seed)
    loss = KnowledgeDistillationLoss() if loss is None else loss
    factory = StageFactory(teacher, made, source, spec, loss, batch_size, flip)
    found = dict(synthesizers or {})
    work = CompressionWork(factory, out, seed, command, baseline, gan, found, make_callbacks, report)
    settings = {
        **{"data": hash_data(source), "teacher": hash_network(teacher)},
        # The recipe contains arguments that are no part of the printed layers.
        "student": hash_object([hash_network(made.network), made.recipe]),
        **{"loss": describe_object(loss), "synthesizers": [*map(describe_object, found.values())], "gan": gan},
        **{"max_epochs": epochs, "time": seconds, "batch_size": batch_size, "flip": flip, "baseline": baseline},
        "seed": seed,
    }
    for line in (*remarks, size_remark(teacher, made)):
        report(line)
    result = RunFolder(out).read_result()
    complete = result is not None and read_plan(out, settings) is not None
    if result is None or not complete or result.settings.get("formats") != list(formats):
        with lock_folder(out, "out"):
            result = _train(work, settings, CardSettings(formats, environment or {}))
    name = str(result.settings["chosen"])
    return ClassifierCompression(work.trained(work.stages()[name]), name, out, result)


def _train(work: CompressionWork, settings: Mapping[str, Any], card: CardSettings) -> RunResult:
    """Train what the folder does not contain yet, and write the student and its card."""
    plan = read_plan(work.out, settings)
    work.exclude_held_out()
    measured = _evaluate_teacher(work, resumed=plan is not None)
    if plan is None:
        plan = make_plan(
            work.out,
            settings,
            list(work.stages().values()),
            epochs=settings["max_epochs"],
            seconds=settings["time"],
            precisions=candidate_precisions(),
            synthesis=work.measure_synthesis().values(),
        )
    if RunFolder(work.out).read_result() is None:  # otherwise only the exports and the card are written
        work.report(describe_plan(plan, list(work.stages().values())))
    return finish(work, plan, measured, card)


def _evaluate_teacher(work: CompressionWork, resumed: bool) -> Evaluated:
    teacher = work.evaluate("teacher", "teacher", work.factory.teacher)
    held_out = SplitLogits(*map(torch.cat, zip(teacher.val, teacher.test, strict=True)))
    check_finite_logits(held_out)
    if not resumed:
        compute = partial(work.split_logits, split="val")
        check_input_statistics(teacher.network, teacher.val, work.factory.spec, compute)
    spec, order_is_known = work.factory.spec, has_known_order(teacher.network)
    check_class_order(teacher.val, teacher.test, spec.class_names, order_is_known)
    check_better_than_chance(held_out)
    work.report(f"teacher: accuracy {teacher.test.accuracy:.4f} on {len(teacher.test.labels)} test images")
    return teacher
