"""Search for a student within a time limit: kinds of students, sources of labels, synthesizers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.profiling import pickled_bytes
from ganmc_lightning.tabular.recipes import BOTH, LABELS_ONLY, REAL, TrainingRecipe
from ganmc_lightning.tabular.sampling import SupportsSample
from ganmc_lightning.tabular.selection import BudgetError, StudentCandidate
from ganmc_lightning.tabular.students import KINDS
from ganmc_lightning.tabular.teacher_labels import CROSS_FIT, IN_BAG

OnProgress = Callable[[str, float], None]
"""Called with a description of the next step and the seconds since the start."""
SYNTHETIC_RATIO = 4
"""Synthetic rows per real row: nine, as in GAN-MC, take twice the time."""
SHRINK = 0.95
MARGIN = 1.01
"""skops files of equal students differ by some bytes."""
MIN_BYTES = 200
"""No pickled student is smaller."""


@dataclass(frozen=True)
class TriedStudent:
    """A student that was compared with others.

    Attributes:
        candidate: the student, its training set, size and score.
        synthesizer: name of the synthesizer; empty for real rows.
    """

    candidate: StudentCandidate
    synthesizer: str = ""

    @property
    def labels(self) -> str:
        """Description of the targets and rows, such as ``out-of-bag teacher + jitter``."""
        text = describe_recipe(self.candidate.recipe)
        return f"{text} + {self.synthesizer}" if self.synthesizer else text


def describe_recipe(recipe: TrainingRecipe) -> str:
    """Describe the targets of real rows.

    Example:
        >>> describe_recipe(TrainingRecipe("out_of_bag", 0.5, "real"))
        'out-of-bag teacher and labels'
    """
    if recipe.teacher_labels == LABELS_ONLY:
        return "labels"
    teacher = f"{recipe.teacher_labels.replace('_', '-')} teacher"
    return f"{teacher} and labels" if recipe.label_weight else teacher


class TimeLimit:
    """Decides whether another training set is tried: at least two are, then those that are likely to end in time.

    Args:
        seconds: limit.
        on_progress: called before each training set, or None.
        clock: function that returns seconds (default: :func:`time.perf_counter`).

    Attributes:
        skipped: descriptions of the training sets that were not tried.

    Example:
        >>> limit = TimeLimit(10, None, iter([0, 0, 4, 9]).__next__)
        >>> recipes = [TrainingRecipe("in_bag", weight, "real") for weight in (0.0, 0.5)]
        >>> [limit.should_fit("tree", recipe) for recipe in recipes], limit.allows("jitter", 2)
        ([True, True], False)
    """

    def __init__(
        self, seconds: float, on_progress: OnProgress | None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.seconds = seconds
        self.skipped: list[str] = []
        self._on_progress = on_progress
        self._clock = clock
        self._start = clock()
        self._recipe: tuple[TrainingRecipe, bool, float] | None = None
        self.longest = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def should_fit(self, kind: str, recipe: TrainingRecipe) -> bool:
        """Decide once for each training set; its time is predicted by the longest one before."""
        if self._recipe is not None and self._recipe[0] == recipe:
            return self._recipe[1]
        now = self.elapsed
        if self._recipe is not None and self._recipe[1]:
            self.longest = max(self.longest, now - self._recipe[2])
        end = now + self.longest
        if recipe.teacher_labels == CROSS_FIT:
            end = 2 * now  # five teachers are fitted, which takes an unknown time
        first = self._recipe is None or recipe.teacher_labels == LABELS_ONLY
        fits = first or end <= self.seconds
        self._recipe = (recipe, fits, now)
        self._report(describe_recipe(recipe), now, fits)
        return fits

    def allows(self, text: str, seconds: float) -> bool:
        """Decide whether a step of a predicted time is tried."""
        now = self.elapsed
        fits = now + seconds <= self.seconds
        self._report(text, now, fits)
        return fits

    def report(self, text: str) -> None:
        """Report a step that is always done."""
        self._report(text, self.elapsed, True)

    def _report(self, text: str, now: float, fits: bool) -> None:
        if not fits:
            self.skipped.append(text)
        elif self._on_progress is not None:
            self._on_progress(text, now)


FitStudents = Callable[..., Any]
"""Fits a distilled estimator: keyword arguments replace those of its constructor, ``should_fit`` is that of ``fit``."""


def search_students(
    fit: FitStudents, kinds: Sequence[str], synthesizers: Mapping[str, SupportsSample], limit: TimeLimit
) -> tuple[Any, list[TriedStudent], dict[str, str]]:
    """Compare kinds and label sources on real rows, then the best of each kind with each synthesizer.

    Args:
        fit: fits a distilled estimator.
        kinds: kinds of students.
        synthesizers: synthesizers by name, in the order in which they are tried.
        limit: time limit.

    Returns:
        The best fitted estimator, all students best first, and the synthesizers that cannot be used, with the reason;
        those of which the students of one kind are too large, with the kind.

    Raises:
        ConfigurationError: no student of the real rows is small enough, or the rows are invalid.
    """
    best = fit(student=list(kinds), training_data=REAL, should_fit=limit.should_fit)
    tried = [TriedStudent(candidate) for candidate in best.selection_]
    unusable: dict[str, str] = {}
    predicted = limit.longest * (1 + SYNTHETIC_RATIO) / len(kinds)
    for kind_best in best_of_each_kind(tried):
        for name, synthesizer in synthesizers.items():
            text = f"{kind_best.candidate.student}, {name}"
            if name in unusable or not limit.allows(text, predicted):
                continue
            start = limit.elapsed
            try:
                model = fit(**recipe_arguments(replace(kind_best, synthesizer=name), synthesizer))
            except BudgetError as error:  # the students of real rows are smaller
                unusable[text] = str(error)
                continue
            except ConfigurationError as error:
                if not str(error).startswith(("synthesizer", "X:")):
                    raise
                unusable[name] = str(error)
                continue
            predicted = max(predicted, limit.elapsed - start)
            tried += [TriedStudent(candidate, name) for candidate in model.selection_]
            if model.chosen_.score > best.chosen_.score:
                best = model
    return best, sorted(tried, key=lambda item: -item.candidate.score), unusable


def best_of_each_kind(tried: Sequence[TriedStudent]) -> list[TriedStudent]:
    """Return the best student of each kind, best first."""
    found: dict[str, TriedStudent] = {}
    for item in sorted(tried, key=lambda item: -item.candidate.score):
        found.setdefault(item.candidate.student, item)
    return list(found.values())


def recipe_arguments(tried: TriedStudent, synthesizer: SupportsSample | None) -> dict[str, Any]:
    """Return the arguments of a distilled estimator that compares the sizes of one kind on one training set."""
    candidate = tried.candidate
    return {
        "student": candidate.student,
        "teacher_labels": IN_BAG if candidate.teacher_labels == LABELS_ONLY else candidate.teacher_labels,
        "label_weight": candidate.label_weight,
        "training_data": REAL if synthesizer is None else BOTH,
        "synthesizer": synthesizer,
        "synthetic_ratio": SYNTHETIC_RATIO,
    }


def shrink_to_bytes(
    fit: FitStudents,
    model: Any,
    tried: Sequence[TriedStudent],
    synthesizers: Mapping[str, SupportsSample],
    max_bytes: int,
    n_classes: int,
    measure: Callable[[Any], int],
) -> Any:
    """Return the best student whose exported files are small enough.

    A student that is too large is fitted again with a smaller limit on the pickled size, on the training set of the
    best student of its kind, and at last with the fewest nodes; then those of the next kind.

    Args:
        fit: fits a distilled estimator.
        model: the best fitted estimator.
        tried: all students.
        synthesizers: synthesizers by name.
        max_bytes: largest size of an exported file.
        n_classes: number of classes; 0 for regression.
        measure: returns the size of the largest exported file of a fitted estimator.

    Raises:
        BudgetError: no student is small enough.
    """
    if measure(model) <= max_bytes:
        return model
    for item in best_of_each_kind(tried):
        arguments = recipe_arguments(item, synthesizers.get(item.synthesizer))
        limit = max_bytes
        while limit >= MIN_BYTES:
            try:
                model = fit(**arguments, max_bytes=limit)
            except BudgetError:
                break
            size = measure(model)
            if size <= max_bytes:
                return model
            limit = int(SHRINK * min(limit, pickled_bytes(deployable(model)) or limit) * max_bytes / size)
        with suppress(BudgetError):  # of another limit
            # The pickled student may be larger than its files.
            nodes = smallest_nodes([item.candidate.student], n_classes)
            model = fit(**{**arguments, "max_nodes": nodes, "max_bytes": None})
            if measure(model) <= max_bytes:
                return model
    raise BudgetError(f"max_bytes: got {max_bytes}, no student is small enough")


def smallest_file(fit: FitStudents, kinds: Sequence[str], n_classes: int, measure: Callable[[Any], int]) -> int:
    """Return the size that the exported files of the smallest student need, with a margin.

    Args:
        fit: fits a distilled estimator.
        kinds: kinds of students.
        n_classes: number of classes; 0 for regression.
        measure: returns the size of the largest exported file of a fitted estimator.
    """
    arguments = {"teacher_labels": IN_BAG, "label_weight": 1.0, "training_data": REAL}
    sizes = [measure(fit(student=kind, max_nodes=smallest_nodes([kind], n_classes), **arguments)) for kind in kinds]
    return int(MARGIN * min(sizes)) + 1


def smallest_nodes(kinds: Sequence[str], n_classes: int) -> int:
    """Return the number of nodes with which a student of each kind can be fitted."""
    return max(KINDS[kind].smallest_nodes(n_classes) for kind in kinds)


def deployable(model: Any) -> Any:
    """Return the student of a distilled estimator, which predicts encoded columns."""
    return model.regressor_ if hasattr(model, "regressor_") else model.classifier_
