"""Compress a fitted model of tabular data: choose a student, compare it with plain boosting, measure both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.weights import check_weights
from ganmc_lightning.tabular.compress_checks import check_rows, read_rows
from ganmc_lightning.tabular.compress_rows import (
    ChoiceRows,
    CompressionRows,
    default_teacher,
    split_rows,
)
from ganmc_lightning.tabular.compress_search import (
    OnProgress,
    TimeLimit,
    TriedStudent,
    deployable,
    search_students,
    shrink_to_bytes,
    smallest_file,
    smallest_nodes,
)
from ganmc_lightning.tabular.distilled import DistilledClassifier, DistilledRegressor
from ganmc_lightning.tabular.encoding import encode_rows, to_numpy_types
from ganmc_lightning.tabular.export import save_skops, to_c, to_onnx
from ganmc_lightning.tabular.plain_boosting import fit_plain, is_better, is_plain
from ganmc_lightning.tabular.recipes import LABELS_ONLY, REAL, TrainingRecipe
from ganmc_lightning.tabular.sampling import SupportsSample
from ganmc_lightning.tabular.selection import BudgetError
from ganmc_lightning.tabular.students import BoostingKind
from ganmc_lightning.tabular.table_student import TableClassifier, TableRegressor
from ganmc_lightning.tabular.teacher_labels import IN_BAG, OUT_OF_BAG, has_out_of_bag
from ganmc_lightning.tabular.validation import check_positive

SEARCH_SECONDS = 120.0
"""Default time limit of the search; fitting a teacher and the measurements of the card are not part of it."""
KINDS = ("boosting", "tree", "forest")


@dataclass(frozen=True)
class Compression:
    """Result of :func:`compress_table`.

    Attributes:
        model: the chosen :class:`~ganmc_lightning.tabular.DistilledClassifier` or
            :class:`~ganmc_lightning.tabular.DistilledRegressor`.
        plain: boosting that was fitted to the labels of the same rows, with at most as many nodes.
        synthesizer: name of the synthesizer of the chosen student; empty for real rows.
        tried: all students that were compared on validation rows, best first.
        skipped: training sets that were not tried because of the time limit.
        unusable: synthesizers that cannot be used for the rows, or not for one kind of students, with the reason.
        rows: training and test rows, with the teacher's outputs.
        search_seconds: time of the search.
        scoring: score on the validation rows.
        not_refitted: why the student is not fitted to the validation rows; empty where it is, or they were given.
    """

    model: DistilledClassifier | DistilledRegressor
    plain: DistilledClassifier | DistilledRegressor
    synthesizer: str
    tried: Sequence[TriedStudent]
    skipped: Sequence[str]
    unusable: Mapping[str, str]
    rows: CompressionRows
    search_seconds: float
    scoring: str
    not_refitted: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the chosen student is boosting that was fitted to the labels alone."""
        return self.plain is self.model

    @property
    def uses_labels_alone(self) -> bool:
        """Whether the chosen student was fitted to the labels alone, without outputs of the teacher."""
        return self.model.chosen_.recipe == TrainingRecipe(LABELS_ONLY, 1.0, REAL)

    @property
    def training_text(self) -> str:
        """Description of the training set of the chosen student."""
        return TriedStudent(self.model.chosen_, self.synthesizer).labels

    def encode(self, X: Any) -> NDArray[np.float64]:
        """Return rows of the table (N, D) as the exported C source and ONNX receive them (N, E)."""
        encoder = self.model.encoder_
        return np.asarray(to_numpy_types(X), dtype=np.float64) if encoder is None else encode_rows(encoder, X)

    @property
    def student(self) -> Any:
        """The student of rows of the table: where these have categories, with the encoder."""
        return table_student(self.model)


def compress_table(
    teacher: Any,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    regression: bool = False,
    validation: tuple[Any, ArrayLike] | None = None,
    test: tuple[Any, ArrayLike] | None = None,
    synthesizers: Mapping[str, SupportsSample] | None = None,
    students: Sequence[str] = KINDS,
    max_nodes: int | None = None,
    max_bytes: int | None = None,
    max_predict_seconds: float | None = None,
    seconds: float = SEARCH_SECONDS,
    random_state: int = 0,
    on_progress: OnProgress | None = None,
) -> Compression:
    """Compress a model of tabular data into the student with the best validation score (Bucila et al. 2006).

    Trees, forests and boosting are fitted to the labels and to the teacher's outputs (in-bag, and out-of-bag or
    cross-fitted) of real rows, then with each synthesizer, until the time limit. If ``students`` contains boosting,
    plain boosting on the labels with at most as many nodes is preferred to the best of them unless its validation score
    is lower by more than one standard error of the difference. The chosen student is fitted again to all rows except
    the test rows, which are used only to measure it, the teacher and plain boosting.

    A student of a teacher that was fitted to the test or validation rows scores too high on them. A teacher of
    scikit-learn is therefore fitted again without the rows that are held out. Other teachers are used as they are; pass
    ``validation`` and ``test`` rows that they were not fitted to.

    Args:
        teacher: fitted or unfitted classifier or regressor; None for a random forest of 500 trees.
        X: rows (N, D), data frame, array or list. Columns of text are categories, NaN are missing values.
        y: labels or values (N,).
        sample_weight: weights (N,), at least 0, of the rows that teacher and students are fitted to; None (default) for
            equal weights. Validation and test scores weight all rows equally.
        regression: whether a regressor is compressed (default: False).
        validation: rows and labels to choose the student on; None (default) for a part of X.
        test: rows and labels to measure on; None (default) for a fifth of X, which is not used otherwise.
        synthesizers: sources of synthetic rows by name, see :class:`DistilledClassifier`; None (default) for none.
        students: kinds to compare (default: boosting, tree and forest).
        max_nodes: largest number of nodes of the student; None (default) as in :class:`DistilledClassifier`.
        max_bytes: largest size of each exported file: skops, C source and ONNX; None (default) for no limit.
        max_predict_seconds: longest prediction time of a row in Python, in a batch, as in :class:`DistilledClassifier`;
            None (default) for no limit.
        seconds: time limit of the search (default: 120). At least two training sets are tried.
        random_state: random seed (default: 0).
        on_progress: called with a description of the next step and the seconds since the start of the search, or None.

    Raises:
        ConfigurationError: rows, labels or teacher are invalid, or no student is small enough.

    Example:
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> forest = RandomForestClassifier(20, random_state=0)
        >>> result = compress_table(forest, X, y, students=["tree"], max_nodes=15, seconds=1)
        >>> result.rows.teacher_scores, result.model.profile_.student.nodes <= 15
        ('unseen', True)
    """
    X = read_rows(X)
    validation, test = (None if part is None else (read_rows(part[0]), part[1]) for part in (validation, test))
    targets = check_rows(X, y, regression)
    limits = {"max_nodes": max_nodes, "max_bytes": max_bytes, "max_predict_seconds": max_predict_seconds}
    _check_arguments(students, {**limits, "seconds": seconds})
    weights = None
    if sample_weight is not None:
        classes = np.zeros(len(targets), dtype=np.int64) if regression else targets
        weights = check_weights(np.asarray(sample_weight), classes, "sample_weight")
    if on_progress is not None:
        on_progress("teacher", 0.0)
    teacher = default_teacher(regression) if teacher is None else teacher
    rows = split_rows(teacher, X, targets, validation, test, random_state, weights)
    fit = _fit_function(rows.choice, regression, random_state)
    return _compress_rows(rows, fit, dict(synthesizers or {}), students, limits, TimeLimit(seconds, on_progress))


def table_student(model: DistilledClassifier | DistilledRegressor) -> Any:
    """Return the student of a distilled estimator for rows of the table: where these have categories, with encoder."""
    inner = deployable(model)
    if model.encoder_ is None:
        return inner
    return (TableRegressor if isinstance(model, DistilledRegressor) else TableClassifier)(model.encoder_, inner)


def largest_file(model: DistilledClassifier | DistilledRegressor) -> int:
    """Return the size of the largest exported file: skops, C source or ONNX; a format without support is ignored."""
    inner = deployable(model)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        files = [save_skops(table_student(model), Path(folder, "student.skops"))]
        for write in (to_c, to_onnx):
            target = Path(folder, "student.c" if write is to_c else "student.onnx")
            try:
                files.append(write(inner, target))
            except ConfigurationError:  # the format does not support the student
                continue
        return max(file.stat().st_size for file in files)


def _check_arguments(students: Sequence[str], limits: Mapping[str, float | None]) -> None:
    """Validate arguments before anything is fitted."""
    for student in students:
        if student not in KINDS:
            raise ConfigurationError(f"students: got {student!r}, expected names out of {', '.join(KINDS)}")
    for name, value in limits.items():
        if value is not None:
            check_positive(name, value)


def _fit_function(choice: ChoiceRows, regression: bool, seed: int) -> Callable[..., Any]:
    kind = DistilledRegressor if regression else DistilledClassifier

    def fit(should_fit: Any = None, **arguments: Any) -> Any:
        model = kind(choice.teacher, random_state=seed, **arguments)
        return model.fit(
            choice.X, choice.y, choice.sample_weight, X_val=choice.X_val, y_val=choice.y_val, should_fit=should_fit
        )

    return fit


def _compress_rows(
    rows: CompressionRows,
    fit: Callable[..., Any],
    synthesizers: Mapping[str, SupportsSample],
    students: Sequence[str],
    limits: Mapping[str, Any],
    limit: TimeLimit,
) -> Compression:
    """Choose the student within the limits of its size, and fit it and plain boosting to all training rows."""

    def fit_limited(**arguments: Any) -> Any:
        return fit(**{**limits, **arguments})

    max_bytes = limits["max_bytes"]
    n_classes = len(np.unique(rows.y)) if hasattr(rows.teacher, "predict_proba") else 0

    def fit_smallest(**arguments: Any) -> Any:
        return fit_limited(**{**arguments, "max_nodes": smallest_nodes(students, n_classes), "max_bytes": None})

    try:
        try:
            model, tried, unusable = search_students(fit_limited, students, synthesizers, limit)
        except BudgetError as error:
            if not str(error).startswith("max_bytes"):
                raise
            # The limit of a fit is on the pickled size; the exported files may be smaller.
            model, tried, unusable = search_students(fit_smallest, students, synthesizers, limit)
        if max_bytes is not None:
            limit.report("size of the exported files")
            model = shrink_to_bytes(fit_limited, model, tried, synthesizers, max_bytes, n_classes, largest_file)
    except BudgetError as error:
        if max_bytes is None or not str(error).startswith("max_bytes"):
            raise
        least = smallest_file(fit, students, n_classes, largest_file)
        raise ConfigurationError(
            f"max_bytes: got {max_bytes}, expected at least {least}, the largest exported file of the smallest student"
        ) from error
    limit.report("plain boosting of the same size")
    baseline = None
    if not is_plain(model):
        baseline, plain = fit_plain(fit, model, limits, largest_file)
        if plain is not None and BoostingKind.name in students and not is_better(model, plain, rows.choice):
            model, baseline = plain, None
    synthesizer = next((name for name, source in synthesizers.items() if model.synthesizer is source), "")
    scoring = str(getattr(model, "scoring", "r2"))
    model, reason = _fit_to_all_rows(model, rows, max_bytes)
    plain = model
    if baseline is not None:  # fitted to the rows of the student, with which it is compared
        plain = baseline if reason else _fit_to_all_rows(baseline, rows)[0]
    skipped = tuple(limit.skipped)
    return Compression(model, plain, synthesizer, tried, skipped, unusable, rows, limit.elapsed, scoring, reason)


def _fit_to_all_rows(model: Any, rows: CompressionRows, max_bytes: int | None = None) -> tuple[Any, str]:
    """Fit the chosen student of a distilled estimator to all training rows, with the teacher of these.

    Where this is not possible, or its files are then larger than ``max_bytes``, the student of fewer rows is returned,
    with the reason.
    """
    chosen = model.chosen_
    if rows.choice.given:
        return model, ""
    if chosen.teacher_labels == OUT_OF_BAG and not has_out_of_bag(rows.teacher, rows.y):
        return model, "the given teacher has no out-of-bag outputs of these training rows"
    final = clone(model).set_params(
        teacher=rows.teacher,
        student=chosen.estimator,
        teacher_labels=IN_BAG if chosen.teacher_labels == LABELS_ONLY else chosen.teacher_labels,
        label_weight=chosen.label_weight,
        training_data=chosen.training_data,
        max_bytes=None,
        max_predict_seconds=None,
    )
    final.teacher, final.synthesizer = rows.teacher, model.synthesizer  # clone copies them without what was fitted
    final.fit(rows.X, rows.y, rows.sample_weight)
    final.selection_, final.chosen_ = model.selection_, chosen
    if max_bytes is not None and largest_file(final) > max_bytes:
        return model, "the files of a student of all training rows exceed max_bytes"
    return final, ""
