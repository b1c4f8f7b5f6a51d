"""Training sets of students: real rows with mixed targets, synthetic rows, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.encoding import decode_rows, encode_rows, one_hot_blocks
from ganmc_lightning.tabular.sampling import (
    SupportsSample,
    check_finite,
    extend_weights,
    fill_missing,
    one_hot_argmax,
    sample_rows,
    seeded_globals,
)
from ganmc_lightning.tabular.soft_targets import multiply_weights
from ganmc_lightning.tabular.tasks import Task
from ganmc_lightning.tabular.teacher import Teacher
from ganmc_lightning.tabular.teacher_labels import IN_BAG, TableRows, TeacherLabels

REAL, SYNTHETIC, BOTH = "real", "synthetic", "both"
LABELS_ONLY = "labels"
LABEL_WEIGHTS = (0.0, 0.5, 1.0)
"""Shares of the true labels that are compared."""


class TrainingRecipe(NamedTuple):
    """Description of a training set.

    Attributes:
        teacher_labels: ``in_bag``, ``out_of_bag`` or ``cross_fit``; ``labels`` where ``label_weight`` is 1.
        label_weight: share of the true labels in the targets of real rows, in [0, 1].
        training_data: ``real``, ``synthetic`` or ``both``.
    """

    teacher_labels: str
    label_weight: float
    training_data: str


def make_recipes(sources: list[str], label_weight: float | str, training_data: str) -> list[TrainingRecipe]:
    """Return the training sets to compare, without repetitions.

    Args:
        sources: sources of the teacher's outputs of real rows.
        label_weight: share of the labels, or ``"auto"`` for 0, 1/2 and 1.
        training_data: ``"real"``, ``"synthetic"`` or ``"both"``.

    Example:
        >>> [recipe[:2] for recipe in make_recipes(["in_bag", "out_of_bag"], "auto", "real")]
        [('in_bag', 0.0), ('in_bag', 0.5), ('labels', 1.0), ('out_of_bag', 0.0), ('out_of_bag', 0.5)]
    """
    if training_data == SYNTHETIC:
        return [TrainingRecipe(IN_BAG, 0.0, SYNTHETIC)]
    weights = LABEL_WEIGHTS if isinstance(label_weight, str) else (float(label_weight),)
    found = {
        TrainingRecipe(LABELS_ONLY if weight == 1 else source, weight, training_data): None
        for source in sources
        for weight in weights
    }
    return list(found)


@dataclass
class TrainingRows:
    """Builds training sets from real rows, a teacher and a synthesizer.

    Attributes:
        task: classification or regression.
        labels: the teacher and the real rows.
        synthesizer: source of synthetic rows, or None.
        synthetic_ratio: synthetic rows per real row.
        encoder: encoder of the categorical columns, or None.
        names: names of the encoded columns, or None.
        sample_weight: weights (N,) of the real rows, or None.
        seed: random seed of the synthetic rows.
    """

    task: Task
    labels: TeacherLabels
    synthesizer: SupportsSample | None
    synthetic_ratio: float
    encoder: ColumnTransformer | None
    names: Any
    sample_weight: NDArray[np.float64] | None
    seed: int

    def build(
        self, recipe: TrainingRecipe, teacher: Teacher, index: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64] | None]:
        """Return rows (M, E), targets (M, K) or (M,), and weights (M,) or None.

        Args:
            recipe: the training set.
            teacher: fitted to the real rows ``index``, or given fitted.
            index: real rows to use.
        """
        if recipe.training_data == SYNTHETIC:
            X, outputs = self._draw(teacher, index)
            return X, outputs, None
        rows = self.labels.rows.encoded[index]
        if recipe.label_weight == 1:
            outputs = np.zeros((len(index), self.task.n_classes) if self.task.n_classes else len(index))
        else:
            outputs = self.labels.outputs(teacher, index, recipe.teacher_labels)
        targets, row_weights = self.task.mix(index, outputs, recipe.label_weight)
        given = None if self.sample_weight is None else self.sample_weight[index]
        weights = multiply_weights([given, row_weights])
        if recipe.training_data == REAL:
            return rows, targets, weights
        X, outputs = self._draw(teacher, index)
        return np.concatenate([rows, X]), np.concatenate([targets, outputs]), extend_weights(weights, len(X))

    def _draw(self, teacher: Teacher, index: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return synthetic rows like the real rows ``index``, and the teacher's outputs of these."""
        n = max(1, round(self.synthetic_ratio * len(index)))
        rows = self.labels.rows.take(index)
        drawn = self._draw_rows(rows, self.task.codes[index], n)
        return drawn.encoded, teacher.predict_outputs(self.labels.inputs(drawn))

    def _draw_rows(self, rows: TableRows, codes: NDArray[np.int64], n: int) -> TableRows:
        """Draw rows; those of a synthesizer of this package are NaN where a random real row is."""
        # imported here because PyTorch is needed only where a synthesizer is given
        from ganmc_lightning.synthesizers.base import Synthesizer

        assert self.synthesizer is not None
        if self.encoder is not None and not isinstance(self.synthesizer, Synthesizer):
            with seeded_globals(self.seed):
                drawn = self.synthesizer.sample(n)
            raw = drawn[0] if isinstance(drawn, tuple) else drawn
            try:
                raw = raw[list(rows.raw.columns)] if hasattr(rows.raw, "columns") else np.asarray(raw, dtype=object)
                encoded = encode_rows(self.encoder, raw)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise ConfigurationError(f"synthesizer: samples differ from X in columns or types ({error})") from error
            allow_nan = bool(np.isnan(rows.encoded).any())
            check_finite(encoded, self.names, f"synthesizer: samples of {type(self.synthesizer).__name__}", allow_nan)
            return TableRows(encoded, raw)
        missing = np.isnan(rows.encoded)
        random = np.random.default_rng(self.seed)
        X = fill_missing(rows.encoded.astype(np.float64), codes, random)
        class_codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
        encoded = sample_rows(self.synthesizer, X, class_codes, n, self.seed, self.names, missing.any())
        if self.encoder is not None:
            encoded = one_hot_argmax(encoded, one_hot_blocks(self.encoder))
        if missing.any() and isinstance(self.synthesizer, Synthesizer):
            encoded[missing[random.integers(len(missing), size=n)]] = np.nan
        return TableRows(encoded, None if self.encoder is None else decode_rows(self.encoder, encoded, rows.raw))
