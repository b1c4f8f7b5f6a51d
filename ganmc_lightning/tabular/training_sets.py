"""What students may learn from: labels, the teacher's view of real rows, of synthetic rows, of both."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.sampling import SupportsSample, pooled_weights, sample_rows, settle
from ganmc_lightning.tabular.student import to_targets
from ganmc_lightning.tabular.teacher import Teacher

LABELS, REAL = "student_only", "real"


class Part(NamedTuple):
    """Rows with their labels.

    Attributes:
        rows: float64 (N, D), finite.
        labels: int64 (N,) in 0..K-1; every class occurs.
        weights: of the rows in training, float64 (N,); None where all count alike.
    """

    rows: NDArray[np.float64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None


class TrainingSet(NamedTuple):
    """What one student learns.

    Attributes:
        name: ``student_only``, ``real``, ``<synthesizer>_only`` or ``<synthesizer>_pooled``.
        rows: (N, D).
        targets: P(y = 1) (N,), or (N, K) for more than two classes.
        weights: of the rows (N,); synthetic ones weigh as much as the mean real one. None where all count alike.
    """

    name: str
    rows: NDArray[np.float64]
    targets: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None


def training_sets(
    teacher: Teacher,
    real: Part,
    synthesizers: Mapping[str, SupportsSample],
    ratio: float,
    seed: int,
    jobs: int,
    categories: Sequence[tuple[int, int]] = (),
) -> Iterator[TrainingSet]:
    """Yield every training_set; each synthesizer is drawn from once, and the teacher asked once about each row.

    Args:
        teacher: fitted to ``real``.
        real: the real rows.
        synthesizers: by name.
        ratio: synthetic rows for each real one.
        seed: of the synthetic rows.
        jobs: threads.
        categories: first and last + 1 column of each block of columns exactly one of which is 1, the others 0.

    Raises:
        ConfigurationError: a synthesizer cannot be drawn from.
    """
    yield TrainingSet(LABELS, real.rows, to_targets(np.eye(len(teacher.classes))[real.labels]), real.weights)
    answers = ask(teacher, real.rows, jobs)
    yield TrainingSet(REAL, real.rows, answers, real.weights)
    for name, synthesizer in synthesizers.items():
        try:
            rows = sample_rows(synthesizer, real.rows, real.labels, round(ratio * len(real.rows)), seed_of(seed, name))
        except ConfigurationError as error:
            raise ConfigurationError(f"synthesizers.{name}: {error}") from error
        rows = settle(rows, categories)
        synthetic = ask(teacher, rows, jobs)
        yield TrainingSet(f"{name}_only", rows, synthetic)
        targets, weights = np.concatenate([answers, synthetic]), pooled_weights(real.weights, len(rows))
        yield TrainingSet(f"{name}_pooled", np.concatenate([real.rows, rows]), targets, weights)


def ask(teacher: Teacher, rows: NDArray[np.float64], jobs: int) -> NDArray[np.float64]:
    """The teacher's probabilities as targets.

    The rows are shared out among threads, and not the trees: these would add up their answers in the order in which
    they finish, and the last bits of the sums would differ from run to run.
    """
    parts = Parallel(jobs, prefer="threads")(
        delayed(teacher.probabilities)(part) for part in np.array_split(rows, min(jobs, len(rows)))
    )
    return to_targets(np.concatenate(parts))


def seed_of(seed: int, name: str) -> int:
    """A seed for one synthesizer of one run."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0])
