"""Training sets of the students: labels, or the teacher's probabilities of real, synthetic or all samples."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.sampling import SupportsSample, extend_weights, one_hot_argmax, sample_rows
from ganmc_lightning.tabular.student import to_probabilities, to_targets
from ganmc_lightning.tabular.teacher import Teacher
from ganmc_lightning.tabular.teacher_labels import is_bootstrap_forest, out_of_bag_outputs

LABELS, REAL, REAL_OOB = "labels", "real", "real_oob"


class LabeledSamples(NamedTuple):
    """Samples with labels.

    Attributes:
        X: float64 (N, D), finite.
        y: int64 (N,) in 0..K-1; every class occurs.
        sample_weight: training weights, float64 (N,); None weights all samples equally.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    sample_weight: NDArray[np.float64] | None = None


class TrainingSet(NamedTuple):
    """Training set of one group of students.

    Attributes:
        name: ``labels``, ``real``, ``real_oob``, ``<synthesizer>`` or ``real+<synthesizer>``.
        X: float64 (N, D).
        targets: P(y = 1) (N,) for two classes, (N, K) for more.
        sample_weight: float64 (N,); a synthetic sample has the mean weight of the real ones. None weights all equally.
    """

    name: str
    X: NDArray[np.float64]
    targets: NDArray[np.float64]
    sample_weight: NDArray[np.float64] | None = None


def training_set_names(teacher: Teacher, synthesizers: Mapping[str, SupportsSample]) -> list[str]:
    """Return the names of all training sets, in the order of :func:`make_training_sets`."""
    real = [LABELS, REAL, *([REAL_OOB] if is_bootstrap_forest(teacher.model) else [])]
    return real + [text for name in synthesizers for text in (name, f"{REAL}+{name}")]


def make_training_sets(
    teacher: Teacher,
    real: LabeledSamples,
    synthesizers: Mapping[str, SupportsSample],
    synthetic_ratio: float,
    seed: int,
    n_jobs: int = 1,
    one_hot_blocks: Sequence[tuple[int, int]] = (),
    names: Collection[str] | None = None,
) -> Iterator[TrainingSet]:
    """Yield every training set; each synthesizer samples once, and each sample is predicted once.

    The teacher was fitted to the real samples, so that its probabilities of them (``real``) are close to the labels.
    ``real_oob`` has those of the trees that were not fitted to the sample; only a bootstrap forest has them.

    Args:
        teacher: fitted to ``real``.
        real: real samples.
        synthesizers: synthesizers by name.
        synthetic_ratio: synthetic samples per real sample.
        seed: random seed of the synthetic samples.
        n_jobs: number of threads (default: 1).
        one_hot_blocks: first column and last column + 1 of each one-hot block.
        names: names of the training sets to yield; None (default) yields all.

    Raises:
        ConfigurationError: a synthesizer cannot sample.
    """
    wanted = set(training_set_names(teacher, synthesizers) if names is None else names)
    if LABELS in wanted:
        yield TrainingSet(LABELS, real.X, to_targets(np.eye(len(teacher.classes))[real.y]), real.sample_weight)
    if not wanted - {LABELS}:
        return
    soft_labels = predict_soft_labels(teacher, real.X, n_jobs)
    if REAL in wanted:
        yield TrainingSet(REAL, real.X, soft_labels, real.sample_weight)
    if REAL_OOB in wanted:
        out_of_bag = out_of_bag_outputs(teacher.model, real.X, to_probabilities(soft_labels))
        yield TrainingSet(REAL_OOB, real.X, to_targets(out_of_bag), real.sample_weight)
    for name, synthesizer in synthesizers.items():
        both = f"{REAL}+{name}"
        if wanted.isdisjoint((name, both)):
            continue
        try:
            drawn = sample_rows(
                synthesizer, real.X, real.y, round(synthetic_ratio * len(real.X)), synthesizer_seed(seed, name)
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"synthesizers.{name}: {error}") from error
        X = one_hot_argmax(drawn, one_hot_blocks)
        targets = predict_soft_labels(teacher, X, n_jobs)
        if name in wanted:
            yield TrainingSet(name, X, targets)
        if both in wanted:
            yield TrainingSet(
                both,
                np.concatenate([real.X, X]),
                np.concatenate([soft_labels, targets]),
                extend_weights(real.sample_weight, len(X)),
            )


def predict_soft_labels(teacher: Teacher, X: NDArray[np.float64], n_jobs: int) -> NDArray[np.float64]:
    """Predict the teacher's probabilities as regression targets.

    The threads share the samples, not the trees: a forest with threads sums its trees in the order in which they
    finish, so that the last bits would vary between runs.
    """
    chunks = Parallel(n_jobs, prefer="threads")(
        delayed(teacher.predict_proba)(chunk) for chunk in np.array_split(X, min(n_jobs, len(X)))
    )
    return to_targets(np.concatenate(chunks))


def synthesizer_seed(seed: int, name: str) -> int:
    """Derive the seed of one synthesizer from the seed of the run."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0])
