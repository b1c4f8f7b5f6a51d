"""Time and memory of synthesizers and teacher's labels for 100,000 rows of 28 columns; one process per row.

python -m benchmarks.neighbors [--rows 100000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

from benchmarks.memory import read_peak
from benchmarks.results_file import print_rows
from benchmarks.rows import Row, row
from ganmc_lightning.synthesizers import JitterSynthesizer, MungeSynthesizer, SmoteSynthesizer
from ganmc_lightning.tabular.sampling import sample_rows
from ganmc_lightning.tabular.teacher import Teacher
from ganmc_lightning.tabular.training_sets import predict_soft_labels

ROWS, FEATURES = 100_000, 28  # as many columns as Higgs
TEACHER_ROWS = 10_000
SYNTHESIZERS = {"jitter": JitterSynthesizer, "SMOTE": SmoteSynthesizer, "MUNGE": MungeSynthesizer}


def measure(rows: int = ROWS) -> list[Row]:
    """Measure CPU seconds on one thread and the peak memory of the process, data included."""
    names = [*SYNTHESIZERS, "labels of 500 trees"]
    context = multiprocessing.get_context("spawn")  # a new process: the peak of another measurement is not included
    found = []
    for name in names:
        with context.Pool(1) as pool:
            seconds, gigabytes = pool.apply(_measure, (name, rows))
        label = f"tables, {name}, {rows:,} x {FEATURES} rows"
        found.append(row(label, seconds, "s CPU", "< 600"))
        if gigabytes is not None:
            found.append(row(f"{label}, memory", gigabytes, "GiB", "< 4"))
    return found


def _measure(name: str, rows: int) -> tuple[float, float | None]:
    torch.set_num_threads(1)
    X, y = make_classification(rows, FEATURES, n_informative=10, random_state=0)
    task: Callable[[], object]
    if name in SYNTHESIZERS:
        task = lambda: sample_rows(SYNTHESIZERS[name](), X, y.astype(np.int64), rows, seed=0)  # noqa: E731
    else:
        forest = RandomForestClassifier(500, random_state=0).fit(X[:TEACHER_ROWS], y[:TEACHER_ROWS])
        task = lambda: predict_soft_labels(Teacher(forest, forest.classes_, None), X, 1)  # noqa: E731
    started = time.process_time()
    task()
    seconds = time.process_time() - started
    return seconds, read_peak()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"number of rows (default: {ROWS:,})")
    print_rows(measure(parser.parse_args().rows))
