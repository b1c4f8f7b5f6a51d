"""Write the rows of finished runs of the experiment tabular_study, for other packages.

    python -m benchmarks.study_splits --runs runs/tabular_study --out splits breast_cancer german --seeds 0

Each file ``<data set>_seed<seed>.npz`` contains the rows and labels of the training, validation and test split of the
run, the number of nodes that its students may have, and the AUC of its models on the test rows.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ganmc_lightning.cli.tabular_study_config import parse_study_arguments

MODELS = ("teacher", "best", "tree/best", "boosting/labels")


def write_splits(run: Path, out: Path) -> None:
    """Write the splits of one run folder."""
    result = json.loads((run / "result.json").read_text())
    arguments = parse_study_arguments(["--config", str(run / "config.yaml")])
    splits = arguments.data.load(arguments.seed)
    arrays = {
        f"{key}_{name}": getattr(samples, key)
        for name, samples in (("train", splits.fit), ("validation", splits.validation), ("test", splits.test))
        for key in ("X", "y")
    }
    metrics = result["metrics"]
    np.savez(
        out,
        **arrays,
        max_nodes=int(metrics["test/teacher/nodes"] / arguments.study.node_ratio),
        models=np.array(MODELS),
        auc=np.array([metrics[f"test/{model}/auc"] for model in MODELS]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_sets", nargs="+", help="stages of the experiment")
    parser.add_argument("--runs", type=Path, default=Path("runs/tabular_study"), help="folder of the experiment")
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.data_sets:
        for seed in arguments.seeds:
            write_splits(arguments.runs / name / f"seed{seed}", arguments.out / f"{name}_seed{seed}.npz")


if __name__ == "__main__":
    main()
