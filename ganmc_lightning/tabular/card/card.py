"""Measure a compression and write its card as one HTML page without scripts or external files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.cards.page import make_templates
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.tabular.card.latency import CompiledStudent, Latency, measure_latency, measure_student
from ganmc_lightning.tabular.card.scores import TestScores, compute_test_scores
from ganmc_lightning.tabular.card.text import (
    candidate_rows,
    conclusion_of,
    metric_headings,
    notes_of,
    pareto_svg,
    reliability_svg,
)
from ganmc_lightning.tabular.compress import Compression
from ganmc_lightning.tabular.compress_checks import teacher_inputs
from ganmc_lightning.tabular.compress_search import deployable

MODELS = ("teacher", "student", "plain")
"""Names of the models in scores; ``plain`` is boosting of the same size on the labels."""


@dataclass(frozen=True)
class CompressionCard:
    """Measurements of a compression.

    Attributes:
        compression: the compression.
        scores: scores on the test rows.
        latencies: model -> prediction time in Python.
        compiled: size and speed of the student in C.
        command: command line, or a description of the call.
        files: name of an exported file -> bytes.
        environment: name -> value, such as versions of packages.
        export_notes: files that were not written, and differences of files from the student.
    """

    compression: Compression
    scores: TestScores
    latencies: Mapping[str, Latency]
    compiled: CompiledStudent
    command: str
    files: Mapping[str, int]
    environment: Mapping[str, str]
    export_notes: Sequence[str]

    @property
    def profiles(self) -> dict[str, Any]:
        """Size of each model, a :class:`~ganmc_lightning.tabular.ModelProfile`."""
        profile = self.compression.model.profile_
        return {
            "teacher": profile.teacher,
            "student": profile.student,
            "plain": self.compression.plain.profile_.student,
        }


def measure_card(
    compression: Compression,
    command: str = "",
    files: Mapping[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
    seed: int = 0,
    export_notes: Sequence[str] = (),
    compiled: CompiledStudent | None = None,
) -> CompressionCard:
    """Score and time teacher, student and plain boosting on the test rows.

    Args:
        compression: result of :func:`~ganmc_lightning.tabular.compress_table`.
        command: command line, or a description of the call (default: none).
        files: name of an exported file -> bytes (default: none).
        environment: name -> value, such as versions of packages (default: none).
        seed: random seed of the bootstrap intervals (default: 0).
        export_notes: files that were not written, and differences of files from the student (default: none).
        compiled: measurements of the student's exported C files; None (default) to export it to a temporary folder
            and measure it.
    """
    rows, model, plain = compression.rows, compression.model, compression.plain
    student_outputs, plain_outputs = output_function(model), output_function(plain)
    outputs: dict[str, NDArray[np.float64]] = {
        "teacher": rows.test_outputs,
        "student": student_outputs(rows.X_test),
        "plain": plain_outputs(rows.X_test),
    }
    classes = getattr(model, "classes_", np.empty(0))
    X = teacher_inputs(rows.teacher, rows.X_test)
    latencies = {
        "teacher": measure_latency(output_function(rows.teacher), X),
        "student": measure_latency(student_outputs, rows.X_test),
        "plain": measure_latency(plain_outputs, rows.X_test),
    }
    if compiled is None:
        compiled = measure_student(deployable(model), compression.encode(rows.X_test), compression.encode(rows.X))
    return CompressionCard(
        compression,
        compute_test_scores(rows.y_test, outputs, classes, seed),
        latencies,
        compiled,
        command,
        dict(files or {}),
        dict(environment or {}),
        tuple(export_notes),
    )


def render_card(card: CompressionCard) -> str:
    """Render a card as HTML."""
    return _TEMPLATES.get_template("card.html.j2").render(
        card=card,
        models=[name for name in MODELS if name != "plain" or not card.compression.is_plain],
        conclusion=conclusion_of(card.compression, card.scores),
        headings=metric_headings(card.scores),
        notes=notes_of(card.compression),
        candidates=candidate_rows(card.compression),
        pareto=pareto_svg(card.compression),
        reliability=reliability_svg(card.scores, card.compression.is_plain),
    )


def write_card(card: CompressionCard, path: Path | str) -> Path:
    """Write a card as one HTML file.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    path = Path(path)
    text = render_card(card)
    with atomic_write(path) as file:
        file.write(text)
    return path


def output_function(model: Any) -> Callable[[Any], NDArray[np.float64]]:
    """Return the method that predicts probabilities (N, K) of a classifier, or values (N,) of a regressor."""
    method: Callable[[Any], NDArray[np.float64]] = getattr(model, "predict_proba", None) or model.predict
    return method


_TEMPLATES = make_templates("ganmc_lightning.tabular.card")
