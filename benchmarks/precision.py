"""Speed of training in bf16-mixed compared with float32, for configurations in ``configs/``."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benchmarks.timing import StepTimer, row, run_fresh
from benchmarks.workspace import Workspace

ROUNDS = 3
WARM_UP = 3
CONFIGS = Path(__file__).parents[1] / "configs"
CASES = {  # share of the steps
    "digits/distillation": 2.0,
    "digits/acgan": 1.0,
    "fashion_mnist/distillation": 1.0,
    "fashion_mnist/acgan": 0.5,
    "fashion_mnist/gan_compression_mse": 0.5,
    "cifar10/nin": 0.03,
    "cifar10/nin_lenet_l2": 0.06,
    "cifar10/resnet18_cnn": 0.02,
    "cifar10/acgan": 0.02,
    "cifar10/gan_compression_mse": 0.05,
}
POOL = 1024
"""Synthetic samples in a pool, instead of 50,000, which take minutes on a CPU."""


def measure(workspace: Workspace, steps: int) -> list[dict[str, Any]]:
    """Alternate rounds of both precisions; return the ratio of the speeds for every configuration."""
    rows = []
    for name, share in CASES.items():
        config = _untrained(yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()))
        seconds: dict[str, list[float]] = {"32-true": [], "bf16-mixed": []}
        for _ in range(ROUNDS):
            for precision, values in seconds.items():
                values.append(_time_fit(workspace, name, config, precision, round(steps * share)))
        full, mixed = (median(values) for values in seconds.values())
        rows.append(row(f"bf16-mixed, speed relative to float32, {name}", full / mixed, "", None))
    return rows


def _time_fit(workspace: Workspace, name: str, config: dict[str, Any], precision: str, steps: int) -> float:
    timer = {"class_path": "benchmarks.timing.StepTimer", "init_args": {"steps": steps, "warm_up": WARM_UP}}
    trainer = {"max_steps": 2 * (WARM_UP + steps), "limit_val_batches": 0, "callbacks": [timer], "precision": precision}
    config = {key: config[key] for key in ("model", "data")} | {"trainer": trainer}
    data, _, stage = name.partition("/")
    run_fresh(workspace, data, stage, config)
    return StepTimer.seconds


def _untrained(value: Any) -> Any:
    """Replace loaded networks by new ones of the same architecture, and reduce pools of synthetic samples."""
    if isinstance(value, list):
        return [_untrained(item) for item in value]
    if not isinstance(value, dict):
        return value
    path = str(value.get("init_args", {}).get("path", ""))
    if path.startswith("runs/"):
        (model,) = (
            config["model"]["init_args"]
            for file in CONFIGS.glob("*/*.yaml")
            if (config := yaml.safe_load(file.read_text())).get("trainer", {}).get("default_root_dir", "-") in path
        )
        return model.get("network") or model["generator"]
    return {key: min(item, POOL) if key == "size" else _untrained(item) for key, item in value.items()}
