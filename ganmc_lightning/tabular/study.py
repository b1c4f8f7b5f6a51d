"""The study of GAN-MC section 4: which rows teach a small student best, and how small may it be?

Four students learn from each kind of rows. The paper's is a ``RandomForestRegressor`` of one fully grown tree on a
bootstrap sample; the *forest* has more of these trees. The *tuned* student is a single tree on all rows whose size was
chosen on validation rows; the *small* one is chosen likewise among the sizes with so many times fewer bytes than the
teacher.
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
from ganmc_lightning.tabular.ensemble_size import measure_ensemble_curve, prefix
from ganmc_lightning.tabular.metrics import classification_metrics, roc_auc, top1_accuracy
from ganmc_lightning.tabular.profiling import BATCH, Compression, Cost, batch_of, profile_model
from ganmc_lightning.tabular.sampling import SupportsSample, check_float32, check_varying
from ganmc_lightning.tabular.student import StudentClassifier
from ganmc_lightning.tabular.study_config import StudyConfig, Table
from ganmc_lightning.tabular.teacher import TEACHER_TREES, Teacher, fit_teacher
from ganmc_lightning.tabular.training_sets import Part, TrainingSet, training_sets
from ganmc_lightning.tabular.tree_size import SizeCandidate, TreeSize, choose, grow, staged_scores

SCORES = {"auc": roc_auc, "accuracy": top1_accuracy}
FOREST, TUNED, SMALL = "_forest", "_tuned", "_small"
"""What the names of a training_set's other students end with; the paper's has the training_set's own name."""


@dataclass
class StudyResult:
    """What came out.

    Attributes:
        metrics: ``<student>/<metric>`` on the test rows, and what the student costs.
        validation: ``<student>/<metric>`` on the validation rows, of those whose size was chosen there.
        curves: of each training_set, the metric over the number of fully grown trees.
        sizes: of each training_set, the metric over the size of a single tree on all rows.
        students: those that ship, by name.
        teacher: the fitted teacher.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    curves: dict[str, dict[str, Sequence[float]]] = field(default_factory=dict)
    sizes: dict[str, dict[str, Sequence[float]]] = field(default_factory=dict)
    students: dict[str, StudentClassifier] = field(default_factory=dict)
    teacher: Any = None

    def document(self, metric: str) -> dict[str, Any]:
        """All numbers, for ``result.json``, as a report reads them.

        Args:
            metric: the study's; one minus it is every model's ``error``.
        """
        errors = {
            f"{name.rpartition('/')[0]}/error": 1 - value
            for name, value in self.metrics.items()
            if name.endswith(f"/{metric}")
        }
        return {
            "metrics": {f"val/{name}": value for name, value in self.validation.items()}
            | {f"test/{name}": value for name, value in (self.metrics | errors).items()},
            "curves": {
                f"{training_set}/{metric}": {
                    str(trees): score for trees, score in zip(curve["trees"], curve["score"], strict=True)
                }
                for training_set, curve in self.curves.items()
            },
            "costs": {
                training_set: {"bytes": curve["bytes"], "seconds": curve["seconds"]}
                for training_set, curve in self.curves.items()
            },
            "sizes": self.sizes,
        }


class Study:
    """Runs the study once.

    Args:
        table: the data.
        settings: what to do.
        synthesizers: where synthetic rows come from, by name.
        seed: of teacher, synthetic rows and students.
        jobs: threads that trees are grown on; the result does not depend on it, predictions are timed on one.
        report: told in a line what has been done.

    Raises:
        ConfigurationError: a part lacks a class, or a column is constant or too large for float32.
    """

    def __init__(
        self,
        table: Table,
        settings: StudyConfig,
        synthesizers: Mapping[str, SupportsSample],
        seed: int,
        jobs: int = 1,
        report: Callable[[str], None] = print,
    ) -> None:
        _check(table)
        self.table = table
        self.settings = settings
        self.synthesizers = synthesizers
        self.seed = seed
        self.jobs = jobs
        self.report = report
        self._score = SCORES[settings.metric]
        self._batch = batch_of(table.test.rows)

    def run(self) -> StudyResult:
        """Fit, choose and measure everything."""
        result = StudyResult()
        teacher = self._teacher(self.table.train)
        result.teacher = teacher.model
        cost = profile_model(teacher.model, teacher.probabilities, self._batch)
        test = self.table.test
        result.metrics |= _named(
            "teacher", classification_metrics(test.labels, teacher.probabilities(test.rows)), cost, cost
        )
        self.report(f"teacher of {cost.nodes} nodes: {self._told(result, 'teacher')}")
        chosen = self._choose(teacher, np.inf if cost.bytes is None else cost.bytes / self.settings.compression_ratio)
        for training_set in self._lessons(teacher, self.table.train):
            self._teach_forest(training_set, cost, result)
            self._teach_trees(training_set, chosen[training_set.name], cost, result)
            told = ", ".join(self._told(result, training_set.name + kind) for kind in ("", FOREST, TUNED, SMALL))
            self.report(f"{training_set.name}: {told}")
        return result

    def _choose(self, teacher: Teacher, most_bytes: float) -> dict[str, dict[str, SizeCandidate]]:
        """Choose the size of every tuned and small student on the validation rows."""
        table, settings = self.table, self.settings
        if table.fit is not table.train:
            teacher = self._teacher(table.fit)
        chosen = {}
        for training_set in self._lessons(teacher, table.fit):
            grown = Parallel(self.jobs, prefer="threads")(
                delayed(grow)(
                    training_set.rows,
                    training_set.targets,
                    TreeSize(max(settings.leaf_nodes), fewest),
                    self.seed,
                    training_set.weights,
                )
                for fewest in settings.min_samples_leaf
            )
            candidates = [
                candidate
                for student in grown
                for candidate in staged_scores(student, table.validation[:2], settings.leaf_nodes, self._score)
            ]
            chosen[training_set.name] = {TUNED: choose(candidates), SMALL: choose(candidates, most_bytes)}
        self.report(f"sizes of {2 * len(chosen)} students chosen on {len(table.validation.rows)} validation rows")
        return chosen

    def _teach_forest(self, training_set: TrainingSet, teacher: Cost, result: StudyResult) -> None:
        """The paper's students: fully grown trees, one and many."""
        test = self.table.test
        forest = RandomForestRegressor(self.settings.max_trees, random_state=self.seed, n_jobs=self.jobs)
        forest.fit(training_set.rows, training_set.targets, training_set.weights).set_params(n_jobs=None)
        result.curves[training_set.name] = asdict(
            measure_ensemble_curve(forest, test.rows, test.labels, self._batch, self._score)
        )
        for name, trees in ((training_set.name, 1), (training_set.name + FOREST, self.settings.max_trees)):
            self._measure(name, prefix(forest, trees), teacher, result)

    def _teach_trees(
        self, training_set: TrainingSet, chosen: Mapping[str, SizeCandidate], teacher: Cost, result: StudyResult
    ) -> None:
        """The trees whose size was chosen, and the test metric of every size."""
        most = TreeSize(max(self.settings.leaf_nodes), chosen[SMALL].capacity.min_samples_leaf)
        capacities = [chosen[TUNED].capacity, chosen[SMALL].capacity, most]
        tuned, small, grown = Parallel(self.jobs, prefer="threads")(
            delayed(grow)(training_set.rows, training_set.targets, capacity, self.seed, training_set.weights)
            for capacity in capacities
        )
        for kind, student in ((TUNED, tuned), (SMALL, small)):
            name = training_set.name + kind
            self._measure(name, student, teacher, result)
            capacity = chosen[kind].capacity
            result.metrics |= {f"{name}/{key}": value for key, value in asdict(capacity).items()}
            result.validation[f"{name}/{self.settings.metric}"] = chosen[kind].score
            result.students[name] = student
        leaves = [k for k in self.settings.leaf_nodes if k <= grown.regressor.get_n_leaves()]
        by_size = staged_scores(grown, self.table.test[:2], leaves, self._score)
        result.sizes[training_set.name] = {
            "leaf_nodes": leaves,
            "bytes": [size.bytes for size in by_size],
            "score": [size.score for size in by_size],
        }

    def _measure(self, name: str, student: StudentClassifier, teacher: Cost, result: StudyResult) -> None:
        test = self.table.test
        cost = profile_model(student, student.predict_proba, self._batch, repeats=10)
        result.metrics |= _named(
            name, classification_metrics(test.labels, student.predict_proba(test.rows)), cost, teacher
        )

    def _lessons(self, teacher: Teacher, real: Part) -> Iterator[TrainingSet]:
        ratio, categories = self.settings.synthetic_ratio, self.table.categories
        return training_sets(teacher, real, self.synthesizers, ratio, self.seed, self.jobs, categories)

    def _teacher(self, part: Part) -> Teacher:
        """Fit the teacher on all threads; let it answer on one, as it is timed."""
        given = self.settings.teacher
        model = RandomForestClassifier(TEACHER_TREES) if given is None else clone(given)
        threaded = "n_jobs" in model.get_params()
        if threaded:
            model.set_params(n_jobs=self.jobs)
        teacher = fit_teacher(model, part.rows, part.labels, self.seed, weights=part.weights)
        if threaded:
            teacher.model.set_params(n_jobs=1)
        return teacher

    def _told(self, result: StudyResult, name: str) -> str:
        return f"{result.metrics[f'{name}/{self.settings.metric}']:.4f}"


def _named(name: str, scores: Mapping[str, float], cost: Cost, teacher: Cost) -> dict[str, float]:
    """Scores and costs of one model under its name; what is not known of a model is left out."""
    compression = Compression(teacher, cost, BATCH)
    known = {key: value for key, value in asdict(cost).items() if value is not None}
    values = {**scores, **known, "compression_ratio": compression.compression_ratio, "speedup": compression.speedup}
    return {f"{name}/{key}": value for key, value in values.items()}


def _check(table: Table) -> None:
    check_varying(table.fit.rows, None)
    check_float32(table.train.rows, None)
    classes = int(table.train.labels.max()) + 1
    if classes < 2:
        raise ConfigurationError("the data have one class only: a classifier needs two or more")
    for name in ("fit", "validation", "test"):
        counts = np.bincount(getattr(table, name).labels, minlength=classes)
        if not counts.all():
            part = "training" if name == "fit" else name
            raise ConfigurationError(
                f"the {part} part has no row of class {int(counts.argmin())}: give more rows, or a larger "
                "data.validation_fraction"
            )
