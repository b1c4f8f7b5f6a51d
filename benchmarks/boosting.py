"""Size and prediction time of a distilled boosting model in C, compared with its teacher, a forest of 500 trees."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.forests import fit_forest, make_rows, seconds
from benchmarks.rows import Row, row
from ganmc_lightning.tabular import DistilledClassifier
from ganmc_lightning.tabular.export import CModel, compile_c, measure_object, to_c
from ganmc_lightning.tabular.profiling import batch_of

LEAVES, TREES = 8, 20  # 300 nodes
OBJECT_BYTES = 8000


def measure() -> list[Row]:
    """Measure a batch of 5,000 rows, a single row and the object file."""
    X, y = make_rows()
    student = HistGradientBoostingRegressor(max_leaf_nodes=LEAVES, max_iter=TREES, early_stopping=False)
    model = DistilledClassifier(fit_forest(), student, teacher_labels="in_bag", label_weight=0, random_state=0).fit(
        X, y
    )
    nodes = model.profile_.student.nodes
    batch, single = batch_of(X.astype(np.float32)), X[:1].astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        source = to_c(model.classifier_, Path(folder), "student")
        compiled = CModel(compile_c(source))
        difference = np.abs(compiled.predict(batch) - model.predict_proba(batch)).max()
        assert difference < 1e-6, difference
        speedups = {
            kind: seconds(model.teacher_.predict_proba, rows, 5) / seconds(compiled.predict, rows, repeats)
            for kind, rows, repeats in (("batch of 5,000 rows", batch, 50), ("single row", single, 2000))
        }
        bytes_ = measure_object(source).file_bytes
    name = f"boosting of {nodes} nodes in C"
    targets = dict(zip(speedups, (">= 100", ">= 500"), strict=True))
    rows = [row(f"{name}, {kind}, over the forest", value, "x", targets[kind]) for kind, value in speedups.items()]
    return [*rows, row(f"{name}, object file", bytes_, "bytes", f"<= {OBJECT_BYTES}")]
