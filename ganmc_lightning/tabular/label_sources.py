"""Training rows of the student study: real rows by the source of their labels, with and without synthetic rows."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.sampling import SupportsSample, extend_weights, one_hot_argmax, sample_rows
from ganmc_lightning.tabular.study_config import StudySplits
from ganmc_lightning.tabular.teacher import Teacher
from ganmc_lightning.tabular.teacher_labels import CROSS_FIT, IN_BAG, OUT_OF_BAG, TableRows, TeacherLabels
from ganmc_lightning.tabular.training_sets import LABELS, REAL, LabeledSamples, synthesizer_seed

LABEL_SOURCES = (LABELS, IN_BAG, OUT_OF_BAG, CROSS_FIT)
"""Sources of the labels of real rows."""


class TargetSet(NamedTuple):
    """Training rows of a student.

    Attributes:
        name: source of the labels of real rows; ``<synthesizer>``; or ``real+<synthesizer>``.
        X: rows (N, D).
        targets: probabilities (N, K).
        sample_weight: weights (N,), or None.
    """

    name: str
    X: NDArray[np.float64]
    targets: NDArray[np.float64]
    sample_weight: NDArray[np.float64] | None


def label_real_rows(unfitted: Any, teacher: Teacher, real: LabeledSamples, seed: int) -> list[TargetSet]:
    """Label the rows that a bootstrap forest was fitted to with each of :data:`LABEL_SOURCES`.

    Args:
        unfitted: forest with ``bootstrap=True``, of which five clones are fitted for the cross-fitted labels; None for
            the random forest of GAN-MC.
        teacher: the forest fitted to ``real``.
        real: the rows.
        seed: random seed of the folds and of the clones.
    """
    rows = TableRows(real.X)
    labels = TeacherLabels(unfitted, rows, real.y, real.y, None, False, real.sample_weight, seed, False)
    index = np.arange(len(real.y))
    targets = {LABELS: np.eye(len(teacher.classes))[real.y]}
    targets |= {source: labels.outputs(teacher, index, source) for source in LABEL_SOURCES[1:]}
    return [TargetSet(name, real.X, values, real.sample_weight) for name, values in targets.items()]


class SyntheticRows(NamedTuple):
    """Synthetic rows with the teacher's probabilities.

    Attributes:
        name: name of the synthesizer.
        X: rows (N, D).
        targets: probabilities (N, K).
    """

    name: str
    X: NDArray[np.float64]
    targets: NDArray[np.float64]

    @classmethod
    def draw(
        cls, synthesizer: SupportsSample, teacher: Teacher, splits: StudySplits, ratio: float, seed: int, name: str
    ) -> Self:
        """Draw rows like the real rows ``splits.fit``.

        Args:
            synthesizer: source of the rows.
            teacher: fitted classifier.
            splits: the data.
            ratio: synthetic rows per real row.
            seed: random seed of the run.
            name: name of the synthesizer.

        Raises:
            ConfigurationError: the synthesizer cannot sample.
        """
        X, y = splits.fit.X, splits.fit.y
        try:
            drawn = sample_rows(synthesizer, X, y, round(ratio * len(X)), synthesizer_seed(seed, name))
        except ConfigurationError as error:
            raise ConfigurationError(f"synthesizers.{name}: {error}") from error
        drawn = one_hot_argmax(drawn, splits.one_hot_blocks)
        return cls(name, drawn, teacher.predict_proba(drawn))

    def alone(self) -> TargetSet:
        """Return the synthetic rows without real rows."""
        return TargetSet(self.name, self.X, self.targets, None)

    def added_to(self, real: TargetSet) -> TargetSet:
        """Return real and synthetic rows; a synthetic row has the mean weight of the real ones."""
        return TargetSet(
            f"{REAL}+{self.name}",
            np.concatenate([real.X, self.X]),
            np.concatenate([real.targets, self.targets]),
            extend_weights(real.sample_weight, len(self.X)),
        )
