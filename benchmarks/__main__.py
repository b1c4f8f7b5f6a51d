"""Run all benchmarks, print their table and write ``benchmarks/results/<device>.json``.

python -m benchmarks [--only distillation startup ...] [--steps 200]
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks import adversarial, distillation, evaluation, forests, gan_compression, memory, metrics, startup
from benchmarks.workspace import make_workspace

RESULTS = Path(__file__).parent / "results"
CHOICES = ["distillation", "startup", "memory", "metrics", "evaluation", "forests", "gan_compression", "adversarial"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CHOICES)
    parser.add_argument("--steps", type=int, default=200, help="steps per timed round (default: 200)")
    arguments = parser.parse_args()
    chosen = arguments.only or CHOICES
    rows = []
    if "metrics" in chosen:
        rows += metrics.measure()
    if "forests" in chosen:
        rows += forests.measure()
    with tempfile.TemporaryDirectory() as folder:
        if set(chosen) - {"metrics", "forests"}:
            workspace = make_workspace(Path(folder))
        if "startup" in chosen:
            rows += startup.measure(workspace)
        if "memory" in chosen:
            rows += memory.measure(workspace)
        if "evaluation" in chosen:
            rows += evaluation.measure(workspace)
        if "distillation" in chosen:
            rows += distillation.measure(workspace, arguments.steps)
        if "gan_compression" in chosen:
            rows += gan_compression.measure(workspace, arguments.steps)
        if "adversarial" in chosen:
            rows += adversarial.measure(workspace, arguments.steps)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _cpu_name()
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        target = "" if row["target"] is None else f"   target {row['target']}"
        print(f"{row['name']:<{width}}  {row['value']:>10.3f} {row['unit']:<10}{target}")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{re.sub('[^a-z0-9]+', '-', device.lower()).strip('-')}.json"
    kept = json.loads(file.read_text())["rows"] if file.exists() else []
    names = {row["name"] for row in rows}
    content = {
        "command": "python -m benchmarks",
        "device": device,
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "lightning", "jsonargparse")},
        "rows": [row for row in kept if row["name"] not in names] + rows,
    }
    file.write_text(json.dumps(content, indent=2) + "\n")
    print(file)


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
