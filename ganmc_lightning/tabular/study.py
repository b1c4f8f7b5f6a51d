"""The random-forest study (GAN-MC section 4): which training set gives the best small student?

The student of the paper is a ``RandomForestRegressor`` of one fully grown tree on a bootstrap sample; ``/forest`` has
more of these trees. ``/tuned`` is a single tree on all samples with a size selected on the validation split; the size
of ``/small`` is selected among those with the minimum compression ratio; where there are none, it is the smallest one,
which is logged. ``/boosting_300`` is gradient boosting of at most 300 nodes, on the cross-entropy of the targets.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.checkpoint import GeneratorSampler
from ganmc_lightning.tabular.ensemble_size import first_trees, measure_ensemble_curve
from ganmc_lightning.tabular.metrics import classification_metrics, roc_auc, top1_accuracy
from ganmc_lightning.tabular.profiling import BATCH, CompressionProfile, ModelProfile, batch_of, profile_model
from ganmc_lightning.tabular.sampling import SupportsSample, check_float32
from ganmc_lightning.tabular.student import StudentClassifier
from ganmc_lightning.tabular.study_config import StudyConfig, StudySplits
from ganmc_lightning.tabular.study_parts import StudyParts
from ganmc_lightning.tabular.study_result import StudyResult
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
    training_set_names,
)
from ganmc_lightning.tabular.tree_size import staged_scores

TEACHER = "teacher"
FOREST, TUNED, SMALL, BOOSTING = "/forest", "/tuned", "/small", "/boosting_"
"""Suffixes of student names; without suffix: the student of the paper."""
RESERVED_NAMES = (TEACHER, LABELS, REAL, REAL_OOB)
"""Names that no synthesizer may have."""
_METRICS = {"auc": roc_auc, "accuracy": top1_accuracy}


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
        parts: files of the finished training sets; those of an earlier process with an equal teacher are not computed
            again (default: no files).

    Raises:
        ConfigurationError: a split lacks a class, or a column is too large for float32.
    """

    def __init__(
        self,
        splits: StudySplits,
        config: StudyConfig,
        synthesizers: Mapping[str, SupportsSample],
        seed: int,
        n_jobs: int = 1,
        log: Callable[[str], None] = print,
        parts: StudyParts | None = None,
    ) -> None:
        _validate(splits)
        self.splits = splits
        self.config = config
        self.synthesizers = synthesizers
        self.seed = seed
        self.n_jobs = n_jobs
        self.log = log
        self.parts = parts or StudyParts()
        self._metric = _METRICS[config.metric]
        self._batch = batch_of(splits.test.X)

    def run(self) -> StudyResult:
        """Fit the teacher, select sizes, fit and evaluate all students."""
        teacher = self._fit_teacher(self.splits.train)
        outputs = teacher.predict_proba(self.splits.test.X)
        parts = self.parts.with_key(outputs)  # the teacher is fitted again, and not equally by every library
        started = time.perf_counter()
        result = parts.read(TEACHER)
        if result is None:
            result = self._evaluate_teacher(teacher, outputs)
            parts.write(TEACHER, result, time.perf_counter() - started)
        result.teacher = teacher.model
        nodes = result.metrics.get(f"{TEACHER}/nodes")
        self.log(f"{TEACHER}, {nodes} nodes: {self._format_metric(result, TEACHER)}")
        names = training_set_names(teacher, self.synthesizers)
        finished = {name: part for name in names if (part := parts.read(name)) is not None}
        if finished:
            self.log(f"{len(finished)} of {len(names)} training sets were finished before: {', '.join(finished)}")
        computed = self._compute(teacher, [name for name in names if name not in finished], _teacher_profile(result))
        for name in names:
            part = finished.get(name)
            if part is None:
                started = time.perf_counter()
                part = next(computed)
                parts.write(name, part, time.perf_counter() - started)
                students = [key.rpartition("/")[0] for key in part.metrics if key.endswith("/labeled_samples")]
                self.log(f"{name}: {', '.join(self._format_metric(part, student) for student in students)}")
            result.add(part)
        return result

    def best_small_student(self, result: StudyResult) -> tuple[str, StudentClassifier]:
        """Return name and model of the small student with the best validation metric.

        It is fitted again if an earlier process fitted it.

        Args:
            result: result of :meth:`run`.
        """
        small = [name for name in result.validation if name.endswith(f"{SMALL}/{self.config.metric}")]
        best = max(small, key=result.validation.__getitem__).rpartition("/")[0]
        if best not in result.students:
            train = self.splits.train
            teacher = fit_teacher(result.teacher, train.X, train.y, self.seed)  # fitted, so that it is not changed
            computed = self._compute(teacher, [best.removesuffix(SMALL)], _teacher_profile(result))
            result.students |= next(computed).students
        return best, result.students[best]

    @property
    def _same_samples(self) -> bool:
        """Whether sizes are selected with the training sets of the reported students."""
        return self.splits.fit is self.splits.train

    def _compute(self, teacher: Teacher, names: Sequence[str], profile: ModelProfile) -> Iterator[StudyResult]:
        """Fit and evaluate the students of training sets.

        The students of ``n_jobs`` training sets are fitted at a time, so that none is fitted while others are timed.

        Args:
            teacher: teacher of the reported students.
            names: names of the training sets.
            profile: size and speed of the teacher.
        """
        if not names:
            return
        max_bytes = np.inf if profile.bytes is None else profile.bytes / self.config.min_compression
        validation, config, seed = self.splits.validation, self.config, self.seed

        def fit(training_set: TrainingSet, selected_on: TrainingSet) -> tuple[StudySelection, FittedStudents]:
            selection = select_study_students(selected_on, validation, config, self._metric, max_bytes, seed)
            return selection, fit_study_students(training_set, selection, config, seed, self._same_samples)

        training_sets = self._training_sets(teacher, self.splits.train, names)
        pairs: Iterator[tuple[TrainingSet, TrainingSet]] = ((item, item) for item in training_sets)
        if not self._same_samples:  # sizes are selected with a teacher that is fitted without the validation split
            selected_on = self._training_sets(self._fit_teacher(self.splits.fit), self.splits.fit, names)
            pairs = zip(training_sets, selected_on, strict=True)
        while group := list(itertools.islice(pairs, self.n_jobs)):
            fitted = Parallel(self.n_jobs, prefer="threads")(delayed(fit)(*pair) for pair in group)
            for (training_set, _), (selection, students) in zip(group, fitted, strict=True):
                if selection.small.bytes > max_bytes:
                    self.log(
                        f"{training_set.name}{SMALL}: no tree is {config.min_compression:g} times smaller than the "
                        "teacher, the smallest one is used; add smaller max_leaf_nodes"
                    )
                yield self._evaluate_students(training_set.name, selection, students, profile)

    def _evaluate_teacher(self, teacher: Teacher, outputs: NDArray[np.float64]) -> StudyResult:
        profile = self._profile(teacher.model, teacher.predict_proba, repeats=3)
        metrics = _prefixed(TEACHER, classification_metrics(self.splits.test.y, outputs), profile, profile)
        return StudyResult({**metrics, f"{TEACHER}/labeled_samples": len(self.splits.train.X)})

    def _evaluate_students(
        self, name: str, selection: StudySelection, students: FittedStudents, teacher: ModelProfile
    ) -> StudyResult:
        """Evaluate the students of one training set, and the test metric of every size."""
        test, config, result = self.splits.test, self.config, StudyResult()
        curve = measure_ensemble_curve(students.forest, test.X, test.y, self._batch, self._metric)
        result.curves[name] = asdict(curve)
        metric = config.metric
        chosen = {
            TUNED: (students.tuned, metric, selection.tuned.score),
            SMALL: (students.small, metric, selection.small.score),
        }
        for max_nodes, student in students.boosting.items():
            chosen[f"{BOOSTING}{max_nodes}"] = (student, "auc", selection.boosting[max_nodes].score)
        self._evaluate(name, first_trees(students.forest, 1), teacher, result)
        self._evaluate(name + FOREST, first_trees(students.forest, config.max_trees), teacher, result)
        for suffix, (student, selected_by, score) in chosen.items():
            self._evaluate(name + suffix, student, teacher, result)
            result.validation[f"{name}{suffix}/{selected_by}"] = score
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
        return result

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

    def _training_sets(self, teacher: Teacher, real: LabeledSamples, names: Sequence[str]) -> Iterator[TrainingSet]:
        ratio, blocks = self.config.synthetic_ratio, self.splits.one_hot_blocks
        return make_training_sets(teacher, real, self.synthesizers, ratio, self.seed, self.n_jobs, blocks, names)

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


def _teacher_profile(result: StudyResult) -> ModelProfile:
    values: dict[str, Any] = {item.name: result.metrics.get(f"{TEACHER}/{item.name}") for item in fields(ModelProfile)}
    return ModelProfile(**values)


def _prefixed(name: str, scores: Mapping[str, float], model: ModelProfile, teacher: ModelProfile) -> dict[str, float]:
    """Return metrics and profile of a model as ``<name>/<key>``, without the values that are None."""
    profile = CompressionProfile(teacher, model, BATCH)
    measured = {key: value for key, value in asdict(model).items() if value is not None}
    values = {**scores, **measured, "compression_ratio": profile.compression_ratio, "speedup": profile.speedup}
    return {f"{name}/{key}": value for key, value in values.items()}


def _validate(splits: StudySplits) -> None:
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
