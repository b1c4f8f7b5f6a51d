"""Compare students of three kinds, label sources and synthesizers at equal size on one table.

Each student has at most a given fraction of the teacher's nodes. Its size is selected on the validation rows; the test
rows are only used to report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble._forest import BaseForest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.label_sources import LABEL_SOURCES, SyntheticRows, TargetSet, label_real_rows
from ganmc_lightning.tabular.metrics import classification_metrics, exceeds_standard_error
from ganmc_lightning.tabular.profiling import tree_nodes
from ganmc_lightning.tabular.sampling import SupportsSample, check_float32
from ganmc_lightning.tabular.student_fitter import StudentFitter, StudiedStudent
from ganmc_lightning.tabular.students import KINDS
from ganmc_lightning.tabular.study_config import StudySplits
from ganmc_lightning.tabular.teacher import fit_teacher
from ganmc_lightning.tabular.training_sets import LABELS

TEACHER = "teacher"
BEST, BEST_REAL, BEST_SYNTHETIC = "best", "best_real", "best_synthetic"
"""Names of the selected students."""
RESERVED_NAMES = (*LABEL_SOURCES, BEST, BEST_REAL, BEST_SYNTHETIC)
"""Names that no synthesizer may have."""
FINALISTS = 2
"""Shapes that are fitted to synthetic rows: fits to many rows are slow."""
PLAIN = f"boosting/{LABELS}"
"""Student that needs no teacher."""


@dataclass(frozen=True)
class StudentStudyConfig:
    """Configuration of the study.

    Attributes:
        node_ratio: nodes of the teacher per node of the largest student, positive.
        synthetic_ratio: synthetic rows per real row, positive.
        students: kinds of students, at least one of ``tree``, ``forest``, ``boosting``, each at most once.
        teacher: unfitted forest with ``bootstrap=True``; null for the random forest of 500 trees of GAN-MC.
    """

    node_ratio: float = 100
    synthetic_ratio: float = 3
    students: tuple[str, ...] = ("tree", "forest", "boosting")
    teacher: Any = None

    def __post_init__(self) -> None:
        for name in ("node_ratio", "synthetic_ratio"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name}: got {getattr(self, name)}, expected a positive number")
        for student in self.students:
            if student not in KINDS:
                raise ConfigurationError(f"students: got {student!r}, expected {', '.join(KINDS)}")
        if not self.students or len(set(self.students)) < len(self.students):
            given = ", ".join(self.students) or "none"
            raise ConfigurationError(f"students: got {given}, expected one or more of {', '.join(KINDS)}, once each")
        if self.teacher is not None and not (isinstance(self.teacher, BaseForest) and self.teacher.bootstrap):
            kind = type(self.teacher).__name__
            raise ConfigurationError(
                f"teacher: got {kind} without out-of-bag rows, expected a forest with bootstrap=True"
            )


class StudentStudy:
    """Fit and compare all students of one table for one seed.

    Every kind is fitted to real rows with each source of labels. The source with the best AUC on the validation rows is
    then combined with the rows of each synthesizer; these students have the best :data:`FINALISTS` shapes of that
    source.

    Args:
        splits: the data; ``train`` is not used, since the reported students are those that were selected.
        config: configuration of the study.
        synthesizers: synthesizers by name.
        seed: random seed of teacher, synthetic rows and students.
        log: called with one line per student (default: ``print``).

    Raises:
        ConfigurationError: a column is too large for float32.
    """

    def __init__(
        self,
        splits: StudySplits,
        config: StudentStudyConfig,
        synthesizers: Mapping[str, SupportsSample],
        seed: int,
        log: Callable[[str], None] = print,
    ) -> None:
        check_float32(splits.fit.X, None)
        self.splits = splits
        self.config = config
        self.synthesizers = synthesizers
        self.seed = seed
        self.log = log

    def run(self) -> dict[str, float]:
        """Fit the teacher and all students.

        Returns:
            ``<split>/<model>/<metric>`` for the splits ``val`` (only ``auc``) and ``test``. The models are ``teacher``,
            ``<kind>/<training rows>``, and those selected by validation AUC: ``<kind>/best`` of a kind, ``best_real``
            and ``best_synthetic`` of those without and with synthetic rows, and ``best`` of all students, which is
            boosting on the labels where the highest AUC is not larger by more than one standard error.

        Raises:
            ConfigurationError: a kind has no student that is small enough, or a synthesizer cannot sample.
        """
        splits, config = self.splits, self.config
        teacher = fit_teacher(
            config.teacher, splits.fit.X, splits.fit.y, self.seed, sample_weight=splits.fit.sample_weight
        )
        nodes = sum(tree_nodes(teacher.model) or [])
        metrics = {f"test/{TEACHER}/nodes": float(nodes)}
        metrics |= _test_metrics(TEACHER, splits.test.y, teacher.predict_proba(splits.test.X))
        self.log(f"{TEACHER}, {nodes} nodes: test {metrics[f'test/{TEACHER}/auc']:.4f}")
        synthetic = [
            SyntheticRows.draw(synthesizer, teacher, splits, config.synthetic_ratio, self.seed, name)
            for name, synthesizer in self.synthesizers.items()
        ]
        fitter = StudentFitter(splits, teacher, int(nodes / config.node_ratio), self.seed)
        real = label_real_rows(config.teacher, teacher, splits.fit, self.seed)
        students: list[StudiedStudent] = []
        for kind in config.students:
            students += (found := self._fit_kind(fitter, kind, real, synthetic))
            for student in found:
                self.log(f"{student.name}, {student.nodes} nodes: validation {student.score:.4f}")
        for name, student in {**{s.name: s for s in students}, **select_best(students, config.students)}.items():
            metrics |= {f"val/{name}/auc": student.score, f"test/{name}/nodes": float(student.nodes)}
            metrics |= _test_metrics(name, splits.test.y, student.predictions)
        return metrics

    def _fit_kind(
        self, fitter: StudentFitter, kind: str, real: list[TargetSet], synthetic: list[SyntheticRows]
    ) -> list[StudiedStudent]:
        """Fit the students of one kind to all training rows."""
        shapes = fitter.shapes(kind)
        ranked = [fitter.fit(kind, target_set, shapes) for target_set in real]
        source = max(range(len(real)), key=lambda i: ranked[i][0].score)
        finalists = [student.shape for student in ranked[source][:FINALISTS]]
        sets = [target_set for rows in synthetic for target_set in (rows.alone(), rows.added_to(real[source]))]
        return [group[0] for group in ranked] + [fitter.fit(kind, target_set, finalists)[0] for target_set in sets]


def select_best(students: Sequence[StudiedStudent], kinds: Sequence[str]) -> dict[str, StudiedStudent]:
    """Select students by their score, among all and among those of each kind, with and without synthetic rows.

    The highest of many scores on few rows is too high. ``best`` is therefore boosting on the labels unless its score is
    lower by more than one standard error of the difference (the one-standard-error rule of Breiman et al. 1984).
    """
    selected = {}
    for prefix in ("", *(f"{kind}/" for kind in kinds)):
        group = [student for student in students if student.name.startswith(prefix)]
        for name, members in (
            (BEST, group),
            (BEST_REAL, [student for student in group if not student.synthetic]),
            (BEST_SYNTHETIC, [student for student in group if student.synthetic]),
        ):
            if members:
                selected[prefix + name] = max(members, key=lambda student: student.score)
    plain = next((student for student in students if student.name == PLAIN), None)
    best = selected[BEST]
    if plain is not None and not exceeds_standard_error(best.score - plain.score, best.influence - plain.influence):
        selected[BEST] = plain
    return selected


def _test_metrics(name: str, labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    return {f"test/{name}/{key}": value for key, value in classification_metrics(labels, probabilities).items()}
