"""Hostile files of every kind that the package reads: no code, no file elsewhere, no traceback, bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "fuzz"
SEED = 0
SHARES = {
    **dict.fromkeys(("checkpoint", "npz", "table", "config", "exported"), 3),
    **dict.fromkeys(("safetensors", "experiment", "image", "skops", "metrics", "result", "statistics", "pool"), 2),
    **dict.fromkeys(("onnx", "state", "plan"), 1),
}
"""Kind of file -> share of the cases."""
STRUCTURED = ("checkpoint", "npz", "table", "config", "experiment", "result", "state", "plan", "pool")
"""Kinds for which hypothesis generates contents, in addition to mutations."""
GUIDED = ("npz", "table", "metrics", "result", "image", "skops")
"""Kinds that atheris mutates, in addition, guided by coverage."""


def run_script(name: str, *arguments: object) -> None:
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def read_log(file: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return [record for record in records if "outcome" in record]


def test_worker_starts() -> None:
    """The campaign runs rarely; this imports all that it uses."""
    run_script("worker.py", "--help")


@pytest.mark.slow
def test_no_file_runs_code_escapes_or_raises(
    cases: Callable[[int], int], record_figures: Callable[..., None], tmp_path: Path
) -> None:
    total = cases(5000)
    seeds = tmp_path / "seeds"
    run_script("seeds.py", seeds)
    engines: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for engine, kinds, share in (
        ("mutations", tuple(SHARES), 0.85),
        ("hypothesis", STRUCTURED, 0.1),
        ("atheris", GUIDED if find_spec("atheris") else (), 0.06),
    ):
        work = tmp_path / engine
        work.mkdir()
        weight = sum(SHARES[kind] for kind in kinds)
        numbers = [f"{kind}:{max(20, round(total * share * SHARES[kind] / weight))}" for kind in kinds]
        if numbers:
            run_script("worker.py", *numbers, "--seed", SEED, "--seeds", seeds, "--work", work, "--engine", engine)
        engines[engine] = {kind: read_log(work / f"{kind}.jsonl") for kind in kinds}

    records = [(kind, record) for logs in engines.values() for kind, log in logs.items() for record in log]
    failures = [(kind, record) for kind, record in records if record["outcome"] not in ("accepted", "refused")]
    outcomes = Counter(record["outcome"] for _, record in records)
    record_figures(
        "fuzzing",
        seed=SEED,
        total=len(records),
        outcomes=dict(outcomes),
        by_engine={engine: sum(map(len, logs.values())) for engine, logs in engines.items()},
        by_kind={kind: dict(Counter(r["outcome"] for k, r in records if k == kind)) for kind in SHARES},
        largest_memory_mib={kind: max(r["memory"] for k, r in records if k == kind) >> 20 for kind in SHARES},
        memory_bound="1 GiB + 400 times the size of the file",
    )
    assert len(records) >= 0.99 * total
    assert not failures, "\n".join(f"{kind}: {record}" for kind, record in failures[:20])
