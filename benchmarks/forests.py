"""Size and prediction time of a student in scikit-learn and in C, and sampling time of MUNGE and SMOTE."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.synthesizers import JitterSynthesizer, MungeSynthesizer, SmoteSynthesizer, Synthesizer
from ganmc_lightning.tabular import DistilledClassifier
from ganmc_lightning.tabular.export import CModel, compile_c, to_c
from ganmc_lightning.tabular.profiling import batch_of

ROWS, FEATURES = 13_312, 10  # as MAGIC
SINGLE_ROWS = 2000


@cache
def make_rows() -> tuple[np.ndarray, np.ndarray]:
    """Return rows and labels with noise, so that a forest's trees are as large as on MAGIC."""
    X, y = make_classification(
        ROWS,
        FEATURES,
        n_informative=8,
        n_redundant=0,
        n_clusters_per_class=8,
        class_sep=0.7,
        flip_y=0.1,
        random_state=0,
    )
    return X, y


@cache
def fit_forest(trees: int = 500) -> RandomForestClassifier:
    """Fit the teacher."""
    return RandomForestClassifier(trees, random_state=0).fit(*make_rows())


def measure() -> list[dict[str, Any]]:
    """Measure a tree that was distilled from a forest."""
    X, y = make_rows()
    student = DecisionTreeRegressor(max_leaf_nodes=1250, random_state=0)
    model = DistilledClassifier(
        fit_forest(),
        student,
        teacher_labels="in_bag",
        label_weight=0,
        synthesizer=JitterSynthesizer(0.1),
        training_data="both",
        random_state=0,
    ).fit(X, y)
    cost = model.profile_
    assert cost.student.bytes is not None
    batch, single = batch_of(X.astype(np.float32)), X[:1].astype(np.float32)
    teacher_seconds = seconds(model.teacher_.predict_proba, batch, 3)
    with tempfile.TemporaryDirectory() as folder:
        compiled = CModel(compile_c(to_c(model.classifier_, Path(folder), "student")))
        difference = np.abs(compiled.predict(batch) - model.predict_proba(batch)).max()
        assert difference < 1e-12, difference
        row = {
            name: seconds(predict, single, SINGLE_ROWS) * 1e6
            for name, predict in {
                "scikit-learn": model.student_.predict,
                "C": compiled.predict,
            }.items()
        }
    rows = [
        ("forest, teacher of 500 trees over its student", cost.compression_ratio, "x smaller", "> 300"),
        (
            "forest, batch of 5,000 rows",
            teacher_seconds / seconds(model.student_.predict, batch, 20),
            "x faster",
            "> 100",
        ),
        ("forest, a single row, the student's tree in scikit-learn", row["scikit-learn"], "us", None),
        ("forest, a single row, the same in C", row["C"], "us", f"< {row['scikit-learn'] / 5:.1f}"),
    ]
    for name, synthesizer in (("MUNGE", MungeSynthesizer()), ("SMOTE", SmoteSynthesizer())):
        rows.append((f"forest, {name}, 9 x {ROWS} rows", draw(synthesizer, X, y), "s", "< 10"))
    return [dict(zip(("name", "value", "unit", "target"), row, strict=True)) for row in rows]


def seconds(predict: Callable[[Any], object], rows: Any, repeats: int) -> float:
    """Return the median seconds of ``repeats`` calls."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        predict(rows)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def draw(synthesizer: Synthesizer, X: np.ndarray, y: np.ndarray) -> float:
    """Return the seconds to fit and sample."""
    started = time.perf_counter()
    scores = (X - X.mean(axis=0)) / X.std(axis=0)
    synthesizer.fit(torch.from_numpy(scores).float(), torch.from_numpy(y), DataSpec((FEATURES,), 2))
    synthesizer.sample(9 * ROWS, torch.Generator().manual_seed(0))
    return time.perf_counter() - started
