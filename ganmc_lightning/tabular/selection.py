"""Choose the kind, size and training set of a student by its score on validation rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.profiling import pickled_bytes, seconds_per_row, tree_nodes
from ganmc_lightning.tabular.recipes import BOTH, SYNTHETIC, TrainingRecipe, TrainingRows
from ganmc_lightning.tabular.students import DEFAULT_MAX_NODES, DEFAULT_MIN_NODES, StudentKind, predict_outputs
from ganmc_lightning.tabular.teacher import Teacher

ShouldFit = Callable[[str, TrainingRecipe], bool]
"""Called with the name of a kind of students and a training set; returns whether to fit them."""
MIN_NODE_BYTES = 64
"""Size of a node in scikit-learn's trees, without its value."""


class BudgetError(ConfigurationError):
    """No student is within the budget."""


@dataclass(frozen=True)
class StudentCandidate:
    """A student that was compared with others.

    Attributes:
        student: ``tree``, ``forest``, ``boosting``, or the class of a given estimator.
        estimator: unfitted estimator.
        teacher_labels: ``in_bag``, ``out_of_bag`` or ``cross_fit``; ``labels`` for the true labels alone.
        label_weight: share of the true labels in the targets of real rows.
        training_data: ``real``, ``synthetic`` or ``both``.
        score: mean score on the validation rows; NaN where there was only one candidate.
        nodes: nodes of all trees, at most; None for a student without trees.
        bytes: size of the pickled student, at most; None where it cannot be pickled.
        predict_seconds: prediction time of a row, at most; None where it is not limited.
    """

    student: str
    estimator: Any
    teacher_labels: str
    label_weight: float
    training_data: str
    score: float
    nodes: int | None
    bytes: int | None
    predict_seconds: float | None

    @property
    def recipe(self) -> TrainingRecipe:
        """Training set of the student."""
        return TrainingRecipe(self.teacher_labels, self.label_weight, self.training_data)


class StudentSize(NamedTuple):
    """Size and speed of a student.

    Attributes:
        student: name of its kind.
        nodes: nodes of all trees, or None.
        bytes: bytes of the pickled student, or None.
        predict_seconds: prediction time of a row, or None.
    """

    student: str
    nodes: int | None
    bytes: int | None
    predict_seconds: float | None


class ValidationPart(NamedTuple):
    """Rows to fit to, and rows to score on.

    Attributes:
        fit_rows: real rows to fit teacher and students to.
        X: encoded validation rows (M, E).
        y: their classes in 0..K-1 (M,), or values.
        sample_weight: their weights (M,), or None.
    """

    fit_rows: NDArray[np.int64]
    X: NDArray[Any]
    y: NDArray[Any]
    sample_weight: NDArray[np.float64] | None


@dataclass(frozen=True)
class SizeBudget:
    """Largest size and longest prediction time of a student.

    Attributes:
        max_nodes: nodes of all trees, or None.
        max_bytes: bytes of the pickled student, or None.
        max_predict_seconds: prediction time of a row, or None.
    """

    max_nodes: int | None
    max_bytes: int | None
    max_predict_seconds: float | None

    def largest_nodes(self, n_rows: int) -> int:
        """Return the number of nodes that no candidate may exceed."""
        nodes = max(DEFAULT_MIN_NODES, min(n_rows, DEFAULT_MAX_NODES)) if self.max_nodes is None else self.max_nodes
        if self.max_bytes is None:
            return nodes
        return min(nodes, max(self.max_bytes // MIN_NODE_BYTES, DEFAULT_MIN_NODES))

    def measure(self, name: str, fitted: Any, X: NDArray[Any], n_classes: int) -> StudentSize:
        """Measure a fitted student; its time only where it is limited.

        Args:
            name: name of its kind.
            fitted: the student.
            X: encoded rows (N, E) to predict.
            n_classes: number of classes; 0 for regression.
        """
        nodes = tree_nodes(fitted)
        seconds = None
        if self.max_predict_seconds is not None:
            seconds = seconds_per_row(lambda rows: predict_outputs(fitted, rows, n_classes), X)
        return StudentSize(name, None if nodes is None else sum(nodes), pickled_bytes(fitted), seconds)

    def permits(self, size: StudentSize | StudentCandidate) -> bool:
        """Return whether a student is within the budget; one of unknown size is not, where that size is limited."""
        return all(limit is None or (value is not None and value <= limit) for _, limit, value in self._limits(size))

    def require(self, sizes: Sequence[StudentSize]) -> None:
        """Raise an error where no student is within the budget.

        Args:
            sizes: sizes of all students.

        Raises:
            BudgetError: naming the smallest student.
        """
        if any(self.permits(size) for size in sizes):
            return
        for position, (name, limit, _) in enumerate(self._limits(sizes[0])):
            values = [(self._limits(size)[position][2], size.student) for size in sizes]
            known = [(value, student) for value, student in values if value is not None]
            if limit is not None and not known:
                raise BudgetError(f"{name}: got {limit}, {sizes[0].student} has no such size; remove {name}")
            if limit is not None and min(known)[0] > limit:
                least = f"{min(known)[0]:.2g}" if isinstance(min(known)[0], float) else min(known)[0]
                raise BudgetError(
                    f"{name}: got {limit}, expected at least {least}, the smallest student ({min(known)[1]})"
                )
        given = [(name, limit) for name, limit, _ in self._limits(sizes[0]) if limit is not None]
        names, limits = (" and ".join(map(str, part)) for part in zip(*given, strict=True))
        raise BudgetError(f"{names}: got {limits}, expected the size of one student")

    def _limits(self, size: StudentSize | StudentCandidate) -> list[tuple[str, float | None, float | None]]:
        """Return name, limit and value of each quantity."""
        return [
            ("max_nodes", self.max_nodes, size.nodes),
            ("max_bytes", self.max_bytes, size.bytes),
            ("max_predict_seconds", self.max_predict_seconds, size.predict_seconds),
        ]


def score_candidates(
    rows: TrainingRows,
    kinds: Sequence[StudentKind],
    recipes: Sequence[TrainingRecipe],
    parts: Sequence[tuple[ValidationPart, Teacher]],
    budget: SizeBudget,
    seed: int,
    should_fit: ShouldFit | None = None,
) -> list[StudentCandidate]:
    """Fit every kind and size to every training set, and score it on the validation rows.

    Args:
        rows: builds the training sets.
        kinds: kinds of students.
        recipes: training sets.
        parts: validation parts, each with its teacher.
        budget: largest size.
        seed: random seed of the students.
        should_fit: returns whether to fit a kind to a training set; None (default) fits all.

    Returns:
        Candidates with their mean score over the parts, larger ones than the budget included.

    Raises:
        ConfigurationError: a score is NaN, so that the candidates cannot be compared.
    """
    found: dict[tuple[str, str, TrainingRecipe], list[StudentCandidate]] = defaultdict(list)
    n_classes, n_rows = rows.task.n_classes, len(rows.labels.y)
    for recipe in recipes:
        fitted_kinds = [kind for kind in kinds if should_fit is None or should_fit(kind.name, recipe)]
        for part, teacher in parts if fitted_kinds else ():
            X, targets, weights = rows.build(recipe, teacher, part.fit_rows)
            for kind in fitted_kinds:
                for estimator in kind.estimators(n_classes, budget.largest_nodes(n_rows), n_rows):
                    fitted = rows.task.fit(clone(estimator), X, targets, weights, seed)
                    for stage in kind.stages(fitted, part.X, n_classes):
                        score = rows.task.score(part.y, stage.predictions, part.sample_weight)
                        if np.isnan(score):
                            raise ConfigurationError(f"student: got the score NaN of {kind.name}, expected a number")
                        size = budget.measure(kind.name, stage.fitted, part.X, n_classes)
                        key = (kind.name, repr(sorted(stage.estimator.get_params().items(), key=str)), recipe)
                        found[key].append(StudentCandidate(kind.name, stage.estimator, *recipe, score, *size[1:]))
    return [_mean_candidate(group) for group in found.values()]


def rank_candidates(candidates: Sequence[StudentCandidate], budget: SizeBudget) -> list[StudentCandidate]:
    """Return the candidates within the budget, best score first, the one of fewer bytes first for equal scores."""
    fitting = [candidate for candidate in candidates if budget.permits(candidate)]
    return sorted(fitting, key=lambda candidate: (-candidate.score, candidate.bytes or 0))


def select_students(
    rows: TrainingRows,
    kinds: Sequence[StudentKind],
    recipes: Sequence[TrainingRecipe],
    parts: Sequence[tuple[ValidationPart, Teacher]],
    budget: SizeBudget,
    seed: int,
    try_synthetic: bool,
    should_fit: ShouldFit | None = None,
) -> list[StudentCandidate]:
    """Rank students; where asked, synthetic rows are tried with the best training set of each kind.

    Args:
        rows: builds the training sets.
        kinds: kinds of students.
        recipes: training sets to compare.
        parts: validation parts, each with its teacher.
        budget: largest size.
        seed: random seed of the students.
        try_synthetic: whether each kind's best training set is also tried with synthetic rows, and with these alone.
        should_fit: returns whether to fit a kind to a training set; None (default) fits all.

    Raises:
        BudgetError: no student is small enough.
    """
    candidates = score_candidates(rows, kinds, recipes, parts, budget, seed, should_fit)
    if try_synthetic:
        ranked = rank_candidates(candidates, budget)
        for kind in kinds:
            best = next((candidate.recipe for candidate in ranked if candidate.student == kind.name), None)
            if best is not None:
                others = [best._replace(training_data=BOTH), TrainingRecipe("in_bag", 0.0, SYNTHETIC)]
                candidates += score_candidates(rows, [kind], others, parts, budget, seed, should_fit)
    sizes = [StudentSize(item.student, item.nodes, item.bytes, item.predict_seconds) for item in candidates]
    budget.require(sizes or _smallest_sizes(kinds, rows.task.n_classes))
    return rank_candidates(candidates, budget)


def fit_best(
    rows: TrainingRows, ranked: Sequence[StudentCandidate], teacher: Teacher, budget: SizeBudget, seed: int
) -> tuple[StudentCandidate, Any]:
    """Fit the best candidate to all rows; the next one where it grows beyond the budget.

    Returns:
        The candidate and the fitted student.

    Raises:
        BudgetError: no student is small enough.
    """
    sizes = []
    for candidate in ranked:
        training_set = rows.build(candidate.recipe, teacher, np.arange(len(rows.labels.y)))
        student = rows.task.fit(clone(candidate.estimator), *training_set, seed)
        size = budget.measure(candidate.student, student, rows.labels.rows.encoded, rows.task.n_classes)
        if budget.permits(size):
            return candidate, student
        sizes.append(size)
    budget.require(sizes)
    raise AssertionError  # require() raises


def single_candidate(
    kinds: Sequence[StudentKind], recipes: Sequence[TrainingRecipe], budget: SizeBudget, n_classes: int, n_rows: int
) -> StudentCandidate | None:
    """Return the candidate where there is only one, so that no validation rows are needed; else None."""
    if len(kinds) > 1 or len(recipes) > 1:
        return None
    estimators = kinds[0].estimators(n_classes, budget.largest_nodes(n_rows), n_rows)
    if type(kinds[0]).stages is not StudentKind.stages or len(estimators) != 1:
        return None
    return StudentCandidate(kinds[0].name, estimators[0], *recipes[0], float("nan"), None, None, None)


def _mean_candidate(group: Sequence[StudentCandidate]) -> StudentCandidate:
    largest = [
        max((value for value in values if value is not None), default=None)
        for values in zip(*((item.nodes, item.bytes, item.predict_seconds) for item in group), strict=True)
    ]
    score = float(np.mean([item.score for item in group]))
    return StudentCandidate(group[0].student, group[0].estimator, *group[0].recipe, score, *largest)


def _smallest_sizes(kinds: Sequence[StudentKind], n_classes: int) -> list[StudentSize]:
    """Return the nodes of the smallest student of each kind."""
    return [StudentSize(kind.name, kind.smallest_nodes(n_classes), None, None) for kind in kinds]
