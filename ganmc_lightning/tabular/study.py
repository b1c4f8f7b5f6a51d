"""The random-forest study (GAN-MC section 4): which training set gives the best small student?

Each training set has four students. The one of the paper is a ``RandomForestRegressor`` of one fully grown tree on a
bootstrap sample; ``/forest`` has more of these trees. ``/tuned`` is a single tree on all samples with a size selected
on the validation split; the size of ``/small`` is selected among those with the minimum compression ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.utils.parallel import Parallel, delayed

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.ensemble_size import first_trees, measure_ensemble_curve
from ganmc_lightning.tabular.metrics import classification_metrics, roc_auc, top1_accuracy
from ganmc_lightning.tabular.profiling import BATCH, CompressionProfile, ModelProfile, batch_of, profile_model
from ganmc_lightning.tabular.sampling import SupportsSample, check_float32, check_varying
from ganmc_lightning.tabular.student import StudentClassifier
from ganmc_lightning.tabular.study_config import StudyConfig, StudySplits
from ganmc_lightning.tabular.teacher import TEACHER_TREES, Teacher, fit_teacher
from ganmc_lightning.tabular.training_sets import LABELS, REAL, LabeledSamples, TrainingSet, make_training_sets
from ganmc_lightning.tabular.tree_size import (
    SizeCandidate,
    TreeSize,
    fit_best_first_tree,
    select_size,
    staged_scores,
)

TEACHER = "teacher"
FOREST, TUNED, SMALL = "/forest", "/tuned", "/small"
"""Suffixes of student names; without suffix: the student of the paper."""
RESERVED_NAMES = (TEACHER, LABELS, REAL)
"""Names that no synthesizer may have."""
_METRICS = {"auc": roc_auc, "accuracy": top1_accuracy}


@dataclass
class StudyResult:
    """Result of the study.

    Attributes:
        metrics: ``<student>/<metric>`` on the test split, with size and speed of the student.
        validation: ``<student>/<metric>`` on the validation split, for the tuned and small students.
        curves: per training set, the metric over the number of fully grown trees.
        sizes: per training set, the metric over the size of a single tree on all samples.
        students: tuned and small students by name.
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
        n_jobs: number of threads that fit trees (default: 1). It does not change the result; predictions are timed on
            one thread.
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
        """Fit the teacher, select tree sizes, fit and evaluate all students."""
        result = StudyResult()
        test = self.splits.test
        teacher = self._fit_teacher(self.splits.train)
        result.teacher = teacher.model
        profile = profile_model(teacher.model, teacher.predict_proba, self._batch)
        scores = classification_metrics(test.y, teacher.predict_proba(test.X))
        result.metrics |= _prefixed(TEACHER, scores, profile, profile)
        self.log(f"{TEACHER}, {profile.nodes} nodes: {self._format_metric(result, TEACHER)}")
        max_bytes = np.inf if profile.bytes is None else profile.bytes / self.config.min_compression
        selected = self._select_sizes(teacher, max_bytes)
        for training_set in self._training_sets(teacher, self.splits.train):
            name = training_set.name
            self._fit_forest(training_set, profile, result)
            self._fit_trees(training_set, selected[name], profile, result)
            values = (self._format_metric(result, name + suffix) for suffix in ("", FOREST, TUNED, SMALL))
            self.log(f"{name}: {', '.join(values)}")
        return result

    def _select_sizes(self, teacher: Teacher, max_bytes: float) -> dict[str, dict[str, SizeCandidate]]:
        """Select the sizes of all tuned and small students on the validation split."""
        splits, config = self.splits, self.config
        if splits.fit is not splits.train:
            teacher = self._fit_teacher(splits.fit)
        selected = {}
        for training_set in self._training_sets(teacher, splits.fit):
            sizes = [TreeSize(max(config.max_leaf_nodes), minimum) for minimum in config.min_samples_leaf]
            candidates = [
                candidate
                for student in self._fit_sizes(training_set, sizes)
                for candidate in staged_scores(student, *splits.validation[:2], config.max_leaf_nodes, self._metric)
            ]
            selected[training_set.name] = {TUNED: select_size(candidates), SMALL: select_size(candidates, max_bytes)}
        self.log(f"selected the sizes of {2 * len(selected)} students on {len(splits.validation.X)} validation samples")
        return selected

    def _fit_forest(self, training_set: TrainingSet, teacher: ModelProfile, result: StudyResult) -> None:
        """Fit and evaluate the students of fully grown trees, one and many."""
        test, name, n_trees = self.splits.test, training_set.name, self.config.max_trees
        forest = RandomForestRegressor(n_trees, random_state=self.seed, n_jobs=self.n_jobs)
        forest.fit(*training_set[1:]).set_params(n_jobs=None)
        result.curves[name] = asdict(measure_ensemble_curve(forest, test.X, test.y, self._batch, self._metric))
        self._evaluate(name, first_trees(forest, 1), teacher, result)
        self._evaluate(name + FOREST, first_trees(forest, n_trees), teacher, result)

    def _fit_trees(
        self,
        training_set: TrainingSet,
        selected: Mapping[str, SizeCandidate],
        teacher: ModelProfile,
        result: StudyResult,
    ) -> None:
        """Fit and evaluate the trees of selected size, and the test metric of every size."""
        config = self.config
        largest = TreeSize(max(config.max_leaf_nodes), selected[SMALL].size.min_samples_leaf)
        sizes = [selected[TUNED].size, selected[SMALL].size, largest]
        tuned, small, full = self._fit_sizes(training_set, sizes)
        for suffix, student in ((TUNED, tuned), (SMALL, small)):
            name = training_set.name + suffix
            self._evaluate(name, student, teacher, result)
            result.metrics |= {f"{name}/{key}": value for key, value in asdict(selected[suffix].size).items()}
            result.validation[f"{name}/{config.metric}"] = selected[suffix].score
            result.students[name] = student
        leaves = [k for k in config.max_leaf_nodes if k <= full.regressor.get_n_leaves()]
        staged = staged_scores(full, *self.splits.test[:2], leaves, self._metric)
        result.sizes[training_set.name] = {
            "max_leaf_nodes": leaves,
            "bytes": [candidate.bytes for candidate in staged],
            "score": [candidate.score for candidate in staged],
        }

    def _fit_sizes(self, training_set: TrainingSet, sizes: Sequence[TreeSize]) -> list[StudentClassifier]:
        students: list[StudentClassifier] = Parallel(self.n_jobs, prefer="threads")(
            delayed(fit_best_first_tree)(
                training_set.X, training_set.targets, size, self.seed, training_set.sample_weight
            )
            for size in sizes
        )
        return students

    def _evaluate(self, name: str, student: StudentClassifier, teacher: ModelProfile, result: StudyResult) -> None:
        test = self.splits.test
        profile = profile_model(student, student.predict_proba, self._batch, repeats=10)
        scores = classification_metrics(test.y, student.predict_proba(test.X))
        result.metrics |= _prefixed(name, scores, profile, teacher)

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
