"""AutoGluon's ``distill`` on the rows of the experiment tabular_study, with students of equal size.

It runs in an environment of its own, since AutoGluon requires other releases than this package:

    uv venv /tmp/autogluon && uv pip install --python /tmp/autogluon/bin/python autogluon.tabular lightgbm catboost
    /tmp/autogluon/bin/python benchmarks/autogluon_distill.py splits/*.npz --out FILE

The splits are those of ``benchmarks/study_splits.py``; results are in ``benchmarks/results/autogluon``. The
teacher is AutoGluon's random forest of 500 trees. Students are fitted to its probabilities of the training rows, or to
the labels of these and three ``spunge`` rows per row; their parameters limit the number of nodes (``munge`` raises a
TypeError in AutoGluon 1.6). The reported student has the best AUC on the validation rows among those of at most as many
nodes as our students had.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor
from sklearn.metrics import roc_auc_score

AUGMENTATIONS = ("spunge", None)
LEAVES = (4, 8, 16)
TREES = 20


def student_parameters(max_nodes: int, n_classes: int) -> dict[str, list[dict[str, Any]]]:
    """Return parameters of LightGBM, random forest and CatBoost students of at most ``max_nodes`` nodes."""
    trees = n_classes if n_classes > 2 else 1  # per iteration
    boosted = [
        {"num_leaves": leaves, "num_boost_round": rounds, "learning_rate": rate, "ag_args": {"name_suffix": f"_{i}"}}
        for i, (leaves, rate) in enumerate((leaves, rate) for leaves in LEAVES for rate in (0.1, 0.2))
        if (rounds := max_nodes // (trees * (2 * leaves - 1))) >= 1
    ]
    forests = [
        {"n_estimators": count, "max_leaf_nodes": leaves, "ag_args": {"name_suffix": f"_{count}"}}
        for count in (1, TREES)
        if (leaves := (max_nodes // count + 1) // 2) >= 2
    ]
    # a symmetric tree of CatBoost has one value a leaf and class
    catboost = [{"depth": 3, "iterations": rounds}] if (rounds := max_nodes // 15) >= 1 else []
    return {"GBM": boosted, "RF": forests, "CAT": catboost}


def count_nodes(model: Any) -> int:
    """Return the number of nodes of a fitted LightGBM, random forest or CatBoost model."""
    if hasattr(model, "trees_to_dataframe"):
        used = model.best_iteration if model.best_iteration > 0 else model.current_iteration()
        frame = model.trees_to_dataframe()
        return int((frame["tree_index"] < used * model.num_model_per_iteration()).sum())
    if hasattr(model, "estimators_"):
        return sum(tree.tree_.node_count for tree in model.estimators_)
    return int(sum(2 * leaves - 1 for leaves in model.get_tree_leaf_counts()))


def compute_auc(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Compute the AUC; the mean of one-vs-rest AUC for three or more classes."""
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(y, probabilities[:, 1]))
    return float(roc_auc_score(y, probabilities / probabilities.sum(axis=1, keepdims=True), multi_class="ovr"))


def distill(file: Path, time_limit: float) -> dict[str, Any]:
    """Fit AutoGluon's teacher and students to one file of splits."""
    arrays = np.load(file)
    frames = {
        name: pd.DataFrame(arrays[f"X_{name}"]).add_prefix("x").assign(y=arrays[f"y_{name}"])
        for name in ("train", "validation", "test")
    }
    max_nodes, n_classes = int(arrays["max_nodes"]), int(arrays["y_train"].max()) + 1
    y, started = arrays["y_test"], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            "y", eval_metric="roc_auc" if n_classes == 2 else "roc_auc_ovr_macro", path=folder, verbosity=0
        ).fit(
            frames["train"],
            tuning_data=frames["validation"],
            hyperparameters={"RF": {"n_estimators": 500}},
            fit_weighted_ensemble=False,
            num_cpus=1,
        )
        (teacher,) = predictor.model_names()
        students = {}
        for method in AUGMENTATIONS:
            names = predictor.distill(
                hyperparameters=student_parameters(max_nodes, n_classes),
                augment_method=method,
                augment_args={"size_factor": 3, "max_size": 100_000},
                time_limit=time_limit,
                models_name_suffix=method or "real",
                verbosity=0,
            )
            for name in names:
                model = predictor._trainer.load_model(name).model
                if model is None:  # the weighted ensemble of all students
                    continue
                students[name] = {
                    "nodes": count_nodes(model),
                    "validation_auc": compute_auc(
                        arrays["y_validation"], predictor.predict_proba(frames["validation"], model=name).to_numpy()
                    ),
                    "auc": compute_auc(y, predictor.predict_proba(frames["test"], model=name).to_numpy()),
                }
        teacher_auc = compute_auc(y, predictor.predict_proba(frames["test"], model=teacher).to_numpy())
    small = {name: student for name, student in students.items() if student["nodes"] <= max_nodes}
    chosen = max(small, key=lambda name: small[name]["validation_auc"]) if small else None
    return {
        "data_set": file.stem.rpartition("_seed")[0],
        "seed": int(file.stem.rpartition("_seed")[2]),
        "max_nodes": max_nodes,
        "autogluon_teacher_auc": teacher_auc,
        "autogluon_auc": None if chosen is None else small[chosen]["auc"],
        "autogluon_student": chosen,
        **{f"{name}_auc": float(value) for name, value in zip(arrays["models"], arrays["auc"], strict=True)},
        "seconds": round(time.perf_counter() - started, 1),
        "students": students,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("splits", nargs="+", type=Path, help="files of benchmarks/study_splits.py")
    parser.add_argument("--out", type=Path, required=True, help="JSON file; results of other splits in it are kept")
    parser.add_argument("--time-limit", type=float, default=120, help="seconds for the students of one augmentation")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    rows = json.loads(arguments.out.read_text())["rows"] if arguments.out.exists() else []
    for file in arguments.splits:
        row = distill(file, arguments.time_limit)
        print({key: value for key, value in row.items() if key != "students"}, flush=True)
        rows = [other for other in rows if (other["data_set"], other["seed"]) != (row["data_set"], row["seed"])]
        rows = sorted([*rows, row], key=lambda other: (other["data_set"], other["seed"]))
        packages = ("autogluon.tabular", "lightgbm", "catboost", "scikit-learn", "numpy")
        content = {
            "command": "python benchmarks/autogluon_distill.py SPLITS --out FILE",
            "python": platform.python_version(),
            "versions": {package: version(package) for package in packages},
            "rows": rows,
        }
        arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
