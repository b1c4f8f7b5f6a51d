"""The random-forest study (GAN-MC section 4): which training set gives the best small student?

The student of the paper is a ``RandomForestRegressor`` of one fully grown tree on a bootstrap sample; ``/forest`` has
more of these trees. ``/tuned`` is a single tree on all samples with a size selected on the validation split; the size
of ``/small`` is selected among those with the minimum compression ratio. ``/boosting_300`` is gradient boosting of at
most 300 nodes, on the cross-entropy of the targets.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.checkpoint import GeneratorSampler
from ganmc_lightning.tabular.ensemble_size import first_trees, measure_ensemble_curve
from ganmc_lightning.tabular.metrics import classification_metrics, roc_auc, top1_accuracy
from ganmc_lightning.tabular.profiling import BATCH, CompressionProfile, ModelProfile, batch_of, profile_model
from ganmc_lightning.tabular.sampling import SupportsSample, check_float32, check_varying
from ganmc_lightning.tabular.student import StudentClassifier
from ganmc_lightning.tabular.study_config import StudyConfig, StudySplits
from ganmc_lightning.tabular.study_students import (
    FittedStudents,
    StudySelection,
    fit_study_students,
    select_study_students,
)
from ganmc_lightning.tabular.teacher import TEACHER_TREES, Teacher, fit_teacher
from ganmc_lightning.tabular.training_sets import (
    LABELS,
    REAL,
    REAL_OOB,
    LabeledSamples,
    TrainingSet,
    make_training_sets,
)
from ganmc_lightning.tabular.tree_size import staged_scores

TEACHER = "teacher"
FOREST, TUNED, SMALL, BOOSTING = "/forest", "/tuned", "/small", "/boosting_"
"""Suffixes of student names; without suffix: the student of the paper."""
RESERVED_NAMES = (TEACHER, LABELS, REAL, REAL_OOB)
"""Names that no synthesizer may have."""
_METRICS = {"auc": roc_auc, "accuracy": top1_accuracy}


@dataclass
class StudyResult:
    """Result of the study.

    Attributes:
        metrics: ``<student>/<metric>`` on the test split, with size and speed of the student, and
            ``<student>/labeled_samples``, the number of labels that its fit and its selection used.
        validation: ``<student>/<metric>`` on the validation split, for the students with a selected size.
        curves: per training set, the metric over the number of fully grown trees.
        sizes: per training set, the metric over the size of a single tree on all samples.
        students: students with a selected size by name.
        teacher: the fitted teacher.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    curves: dict[str, dict[str, Sequence[float]]] = field(default_factory=dict)
    sizes: dict[str, dict[str, Sequence[float]]] = field(default_factory=dict)
    students: dict[str, StudentClassifier] = field(default_factory=dict)
    teacher: Any = None

    def to_dict(self, metric: str) -> dict[str, Any]:
        """Convert all numbers to the fields of ``result.json``.

        Args:
            metric: metric of the study; one minus it is added as ``error``.
        """
        errors = {
            f"{name.rpartition('/')[0]}/error": 1 - value
            for name, value in self.metrics.items()
            if name.endswith(f"/{metric}")
        }
        return {
            "metrics": {
                **{f"val/{name}": value for name, value in self.validation.items()},
                **{f"test/{name}": value for name, value in (self.metrics | errors).items()},
            },
            "curves": {
                f"{name}/{metric}": dict(zip(curve["trees"], curve["score"], strict=True))
                for name, curve in self.curves.items()
            },
            "costs": {
                name: {"bytes": curve["bytes"], "seconds": curve["seconds"]} for name, curve in self.curves.items()
            },
            "sizes": self.sizes,
        }


class Study:
    """Run the random-forest study for one seed.

    Args:
        splits: the data.
        config: configuration of the study.
        synthesizers: synthesizers by name.
        seed: random seed of teacher, synthetic samples and students.
        n_jobs: number of training sets whose students are fitted in parallel, and threads of the teacher (default: 1).
            It does not change the result; predictions are timed on one thread.
        log: called with one line per finished step (default: ``print``).

    Raises:
        ConfigurationError: a split lacks a class, or a column is constant or too large for float32.
    """

    def __init__(
        self,
        splits: StudySplits,
        config: StudyConfig,
        synthesizers: Mapping[str, SupportsSample],
        seed: int,
        n_jobs: int = 1,
        log: Callable[[str], None] = print,
    ) -> None:
        _validate(splits)
        self.splits = splits
        self.config = config
        self.synthesizers = synthesizers
        self.seed = seed
        self.n_jobs = n_jobs
        self.log = log
        self._metric = _METRICS[config.metric]
        self._batch = batch_of(splits.test.X)

    def run(self) -> StudyResult:
        """Fit the teacher, select sizes, fit and evaluate all students."""
        result = StudyResult()
        test = self.splits.test
        teacher = self._fit_teacher(self.splits.train)
        result.teacher = teacher.model
        profile = self._profile(teacher.model, teacher.predict_proba, repeats=3)
        scores = classification_metrics(test.y, teacher.predict_proba(test.X))
        result.metrics |= _prefixed(TEACHER, scores, profile, profile)
        result.metrics[f"{TEACHER}/labeled_samples"] = len(self.splits.train.X)
        self.log(f"{TEACHER}, {profile.nodes} nodes: {self._format_metric(result, TEACHER)}")
        max_bytes = np.inf if profile.bytes is None else profile.bytes / self.config.min_compression
        selected = {} if self._same_samples else self._select(max_bytes)
        for training_set, selection, students in self._fit_students(teacher, selected, max_bytes):
            self._report(training_set, selection, students, profile, result)
        return result

    @property
    def _same_samples(self) -> bool:
        """Whether sizes are selected with the training sets of the reported students."""
        return self.splits.fit is self.splits.train

    def _select(self, max_bytes: float) -> dict[str, StudySelection]:
        """Select the sizes of all students, with a teacher that is fitted without the validation split."""
        training_sets = self._training_sets(self._fit_teacher(self.splits.fit), self.splits.fit)

        def select(training_set: TrainingSet) -> tuple[str, StudySelection]:
            return training_set.name, self._select_sizes(training_set, max_bytes)._replace(trees={})

        named = Parallel(self.n_jobs, prefer="threads")(delayed(select)(item) for item in training_sets)
        self.log(f"selected the sizes of all students on {len(self.splits.validation.X)} validation samples")
        return dict(named)

    def _select_sizes(self, training_set: TrainingSet, max_bytes: float) -> StudySelection:
        validation, seed = self.splits.validation, self.seed
        return select_study_students(training_set, validation, self.config, self._metric, max_bytes, seed)

    def _fit_students(
        self, teacher: Teacher, selected: Mapping[str, StudySelection], max_bytes: float
    ) -> Iterator[tuple[TrainingSet, StudySelection, FittedStudents]]:
        """Fit the students of ``n_jobs`` training sets at a time, so that none is fitted while others are timed."""

        def fit(training_set: TrainingSet) -> tuple[TrainingSet, StudySelection, FittedStudents]:
            selection = selected.get(training_set.name) or self._select_sizes(training_set, max_bytes)
            students = fit_study_students(training_set, selection, self.config, self.seed, self._same_samples)
            return training_set, selection, students

        training_sets = self._training_sets(teacher, self.splits.train)
        while group := list(itertools.islice(training_sets, self.n_jobs)):
            yield from Parallel(self.n_jobs, prefer="threads")(delayed(fit)(training_set) for training_set in group)

    def _report(
        self,
        training_set: TrainingSet,
        selection: StudySelection,
        students: FittedStudents,
        teacher: ModelProfile,
        result: StudyResult,
    ) -> None:
        """Evaluate the students of one training set, and the test metric of every size."""
        test, name, config = self.splits.test, training_set.name, self.config
        curve = measure_ensemble_curve(students.forest, test.X, test.y, self._batch, self._metric)
        result.curves[name] = asdict(curve)
        chosen = {TUNED: (students.tuned, selection.tuned.score), SMALL: (students.small, selection.small.score)}
        for max_nodes, student in students.boosting.items():
            chosen[f"{BOOSTING}{max_nodes}"] = (student, selection.boosting[max_nodes].score)
        self._evaluate(name, first_trees(students.forest, 1), teacher, result)
        self._evaluate(name + FOREST, first_trees(students.forest, config.max_trees), teacher, result)
        for suffix, (student, score) in chosen.items():
            self._evaluate(name + suffix, student, teacher, result)
            result.validation[f"{name}{suffix}/{config.metric}"] = score
            result.students[name + suffix] = student
        for suffix, size in ((TUNED, selection.tuned.size), (SMALL, selection.small.size)):
            result.metrics |= {f"{name}{suffix}/{key}": value for key, value in asdict(size).items()}
        for suffix in ("", FOREST, *chosen):
            result.metrics[f"{name}{suffix}/labeled_samples"] = self._count_labels(name, suffix in chosen)
        leaves = [k for k in config.max_leaf_nodes if k <= students.largest.regressor.get_n_leaves()]
        staged = staged_scores(students.largest, test.X, test.y, leaves, self._metric)
        result.sizes[name] = {
            "max_leaf_nodes": leaves,
            "bytes": [candidate.bytes for candidate in staged],
            "score": [candidate.score for candidate in staged],
        }
        values = (self._format_metric(result, name + suffix) for suffix in ("", FOREST, *chosen))
        self.log(f"{name}: {', '.join(values)}")

    def _count_labels(self, name: str, selected: bool) -> int:
        """Count the labels that a student, its teacher and a trained GAN were fitted to or selected on."""
        synthesizer = self.synthesizers.get(name.removeprefix(f"{REAL}+"))
        uses_validation = selected or isinstance(synthesizer, GeneratorSampler)  # the checkpoint was selected on it
        extra = len(self.splits.validation.X) if self._same_samples and uses_validation else 0
        return len(self.splits.train.X) + extra  # without extra, ``train`` contains the validation split

    def _evaluate(self, name: str, student: StudentClassifier, teacher: ModelProfile, result: StudyResult) -> None:
        test = self.splits.test
        profile = self._profile(student, student.predict_proba, repeats=10)
        scores = classification_metrics(test.y, student.predict_proba(test.X))
        result.metrics |= _prefixed(name, scores, profile, teacher)

    def _profile(self, model: Any, predict: Callable[[Any], object], repeats: int) -> ModelProfile:
        with threadpool_limits(1):
            return profile_model(model, predict, self._batch, repeats)

    def _training_sets(self, teacher: Teacher, real: LabeledSamples) -> Iterator[TrainingSet]:
        ratio, blocks = self.config.synthetic_ratio, self.splits.one_hot_blocks
        return make_training_sets(teacher, real, self.synthesizers, ratio, self.seed, self.n_jobs, blocks)

    def _fit_teacher(self, samples: LabeledSamples) -> Teacher:
        """Fit the teacher on all threads; predict on one, because predictions are timed."""
        given = self.config.teacher
        model = RandomForestClassifier(TEACHER_TREES) if given is None else clone(given)
        threaded = "n_jobs" in model.get_params()
        if threaded:
            model.set_params(n_jobs=self.n_jobs)
        teacher = fit_teacher(model, samples.X, samples.y, self.seed, sample_weight=samples.sample_weight)
        if threaded:
            teacher.model.set_params(n_jobs=1)
        return teacher

    def _format_metric(self, result: StudyResult, name: str) -> str:
        return f"{result.metrics[f'{name}/{self.config.metric}']:.4f}"


def _prefixed(name: str, scores: Mapping[str, float], model: ModelProfile, teacher: ModelProfile) -> dict[str, float]:
    """Return metrics and profile of a model as ``<name>/<key>``, without the values that are None."""
    profile = CompressionProfile(teacher, model, BATCH)
    measured = {key: value for key, value in asdict(model).items() if value is not None}
    values = {**scores, **measured, "compression_ratio": profile.compression_ratio, "speedup": profile.speedup}
    return {f"{name}/{key}": value for key, value in values.items()}


def _validate(splits: StudySplits) -> None:
    check_varying(splits.fit.X, None)
    check_float32(splits.train.X, None)
    classes = int(splits.train.y.max()) + 1
    if classes < 2:
        raise ConfigurationError("data: got one class, expected two or more")
    for name in ("fit", "validation", "test"):
        counts = np.bincount(getattr(splits, name).y, minlength=classes)
        if not counts.all():
            split = "training" if name == "fit" else name
            raise ConfigurationError(
                f"data: the {split} split has no sample of class {int(counts.argmin())}; add samples or increase "
                "data.validation_fraction"
            )
