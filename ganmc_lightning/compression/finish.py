"""Train the networks of a plan, choose the student by validation accuracy, and write its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ganmc_lightning.compression.outputs import (
    CHECKPOINT,
    Evaluated,
    accuracy_metrics,
    agreement_metrics,
    agreement_notes,
    copy_file,
    export_student,
    make_card,
)
from ganmc_lightning.compression.plan import CompressionPlan, stage_folder
from ganmc_lightning.compression.stages import LABELS, STUDENT, CompressionStage
from ganmc_lightning.compression.work import CompressionWork
from ganmc_lightning.export import ExportedFile
from ganmc_lightning.networks.profiling import count_flops, count_parameters
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.result import RunResult


class CardSettings(NamedTuple):
    """What a card contains besides the networks: formats of the exports, and environment of the command."""

    formats: Sequence[str]
    environment: Mapping[str, str]


def finish(work: CompressionWork, plan: CompressionPlan, teacher: Evaluated, card_settings: CardSettings) -> RunResult:
    """Train all networks that are not complete, choose the student, and write its files.

    Args:
        work: the networks.
        plan: their length.
        teacher: the teacher and its outputs.
        card_settings: exports and environment.

    Returns:
        Content of ``result.json``, which is written last.
    """
    accuracies = work.train(plan)
    chosen = choose_student(accuracies)
    stages = work.stages()
    models = [teacher, work.evaluate("student", "student", work.trained(stages[chosen]))]
    if chosen != STUDENT:
        models.append(_baseline(work, stages[STUDENT], "student without synthetic images"))
    if work.baseline:
        models.append(_baseline(work, stages[LABELS], "student on labels only"))
    student, folder = models[1], stage_folder(work.out, stages[chosen])
    splits, spec = work.factory.source.splits, work.factory.spec
    made = work.factory.student._replace(network=student.network)
    copy_file(folder.best_checkpoint, work.out / CHECKPOINT)
    files, failures = export_student(made, work.out, card_settings.formats, spec, splits.train)
    for line in failures:
        work.report(line)
    card = make_card(
        models,
        splits.test,
        spec,
        files,
        command=work.command,
        seed=work.seed,
        environment=card_settings.environment,
        notes=[
            *([_describe_choice(accuracies, stages, chosen)] if len(accuracies) > 1 else []),
            *agreement_notes(files),
            *failures,
        ],
    )
    card.write(work.out)
    work.report(card.conclusion.text)
    choice = {"formats": list(card_settings.formats), "chosen": chosen, "validation_accuracies": accuracies}
    return _write_result(work, plan, models, folder, choice, files)


def choose_student(accuracies: Mapping[str, float]) -> str:
    """Return the student with the highest validation accuracy; of equal ones, the first.

    Args:
        accuracies: student -> validation accuracy, in the order of preference; the first uses no synthetic images.

    Example:
        >>> choose_student({"student": 0.9, "student_gan": 0.9}), choose_student({"student": 0.9, "student_gan": 0.91})
        ('student', 'student_gan')
    """
    return max(accuracies, key=accuracies.__getitem__)


def _write_result(
    work: CompressionWork,
    plan: CompressionPlan,
    models: Sequence[Evaluated],
    folder: RunFolder,
    choice: Mapping[str, Any],
    files: Sequence[ExportedFile],
) -> RunResult:
    """Write ``result.json`` of a compression from that of the student's run folder, and return its content."""
    run, student = folder.read_result(), models[1]
    assert run is not None
    splits, written = work.factory.source.splits, RunFolder(work.out)
    validation = len(student.val.labels)
    written.update_result(
        command=work.command,
        seed=work.seed,
        metrics={**accuracy_metrics(models), **agreement_metrics(files)},
        train_seconds=run.train_seconds,
        steps=run.steps,
        parameters=count_parameters(student.network),
        flops=count_flops(student.network, work.factory.example_input()),
        device=run.device,
        precision=plan.precision,
        settings={**plan.settings, **choice, "epochs": plan.epochs},
        data={
            "class_names": list(work.factory.spec.class_names),
            "train_images": len(splits.train) - (validation if splits.validation is None else 0),
            "validation_images": validation,
            "test_images": len(splits.test),
        },
        sizes={file.path.name: file.bytes for file in files},
    )
    result = written.read_result()
    assert result is not None
    return result


def _baseline(work: CompressionWork, stage: CompressionStage, name: str) -> Evaluated:
    return work.evaluate(name, "baseline", work.trained(stage))


def _describe_choice(accuracies: Mapping[str, float], stages: Mapping[str, CompressionStage], chosen: str) -> str:
    scores = ", ".join(f"{stages[name].text} {accuracy:.4f}" for name, accuracy in accuracies.items())
    return f"Chosen by validation accuracy: {stages[chosen].text} ({scores})."
