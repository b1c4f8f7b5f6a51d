"""Results of a device: ``benchmarks/results/<device>.json``."""

from __future__ import annotations

import json
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.rows import Row

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "lightning", "torchvision", "scikit-learn", "numpy")
SEED = 0  # of weights, data and latents


def save(name: str, rows: list[Row]) -> Path:
    """Write the rows of a benchmark; the other benchmarks on this device are kept."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{re.sub('[^a-z0-9]+', '-', device_name().lower()).strip('-')}.json"
    kept = json.loads(file.read_text(encoding="utf-8"))["benchmarks"] if file.exists() else {}
    measured = {
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "threads": torch.get_num_threads(),
        "seed": SEED,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "rows": rows,
    }
    content = {"device": device_name(), "benchmarks": {**kept, name: measured}}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return file


def print_rows(rows: list[Row]) -> None:
    """Print values, units and targets."""
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        met = "" if row["target"] is None else f"   {row['target']}: {'yes' if meets(row) else 'no'}"
        print(f"{row['name']:<{width}}  {row['value']:>10.3f} {row['unit']:<10}{met}", flush=True)


def meets(row: Row) -> bool:
    """Return whether a row meets its target, such as ``>= 0.9`` or ``< 2``."""
    relation, bound = str(row["target"]).split()
    value: float = row["value"]
    return {
        "<": value < float(bound),
        "<=": value <= float(bound),
        ">": value > float(bound),
        ">=": value >= float(bound),
    }[relation]


def device_name() -> str:
    """Return the name of the GPU or the processor."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
