"""Time and peak memory of Frechet distance and PRDC, and of reference implementations, on one thread.

Requires Linux, because peak memory is read from ``/proc``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

# One process per case, because peak memory can be measured once per process.
PROBE = """
import json, sys, time
from pathlib import Path
import numpy as np
import torch

torch.set_num_threads(1)
samples, features, case = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def rows(seed):
    # Similar to features of a network: correlated, nonnegative, variances over three powers of ten.
    random = np.random.default_rng(seed)
    latent = random.standard_normal((samples, 128)).astype(np.float32)
    mixed = latent @ np.random.default_rng(99).standard_normal((128, features)).astype(np.float32) / 16
    noise = random.standard_normal((samples, features)).astype(np.float32)
    scale = np.logspace(0, -1.5, features, dtype=np.float32)
    return np.maximum(mixed + noise + (0.1 if seed else 0), 0) * scale


def resident(kind):
    # In KiB; "VmRSS" is the current value, "VmHWM" the peak since the last reset.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1])


def moments(x):
    return x.mean(axis=0, dtype=np.float64), np.cov(x, rowvar=False)


def ours_fid():
    return frechet_distance(*given).item()


def sqrtm_fid():
    (m1, s1), (m2, s2) = given
    root = scipy.linalg.sqrtm(s1 @ s2)
    return float((m1 - m2) @ (m1 - m2) + np.trace(s1 + s2 - 2 * root.real))


def ours_prdc():
    return [value.item() for value in prdc(*given).values()]


def numpy_prdc(k=5):
    # Naeem et al. 2020, literally: three full distance matrices.
    def distances(x, y):
        squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
        return np.sqrt(np.maximum(squares, 0))

    real, fake = (x.astype(np.float64) for x in given)
    between = distances(real, fake)
    real_radii, fake_radii = (np.partition(distances(x, x), k, axis=1)[:, k] for x in (real, fake))
    inside = between < real_radii[:, None]
    precision, recall = inside.any(axis=0).mean(), (between < fake_radii).any(axis=1).mean()
    return [precision, recall, inside.sum(axis=0).mean() / k, (between.min(axis=1) < real_radii).mean()]


if case in ("ours_fid", "ours_prdc"):
    from ganmc_lightning.metrics import frechet_distance, prdc
else:
    import scipy.linalg
given = [rows(0), rows(1)]
if case.endswith("fid"):
    given = [moments(x) for x in given]
if case == "ours_fid":
    given = [torch.from_numpy(moment) for pair in given for moment in pair]
elif case == "ours_prdc":
    given = [torch.from_numpy(x) for x in given]
Path("/proc/self/clear_refs").write_text("5")  # reset the peak
before = resident("VmRSS")
started = time.process_time()  # of this process, independent of the load
value = globals()[case]()
seconds = time.process_time() - started
memory = resident("VmHWM") - before
print(json.dumps({"seconds": seconds, "memory": memory / 1024, "value": value}))
"""
SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
FEATURES = 2048
CASES = [
    ("Frechet distance, 10k x 10k, one thread", 10_000, "ours_fid", "sqrtm_fid", "scipy.linalg.sqrtm", ">= 5"),
    ("PRDC, 5k x 5k, one thread", 5_000, "ours_prdc", "numpy_prdc", "numpy, full matrices", None),
]


def measure() -> list[dict[str, Any]]:
    """Measure seconds and extra peak memory of both, and the difference of their values."""
    rows = []
    for name, samples, ours, theirs, other, target in CASES:
        mine, reference = _run(samples, ours), _run(samples, theirs)
        apart = max(abs(a - b) / abs(b) for a, b in zip(_numbers(mine), _numbers(reference), strict=True))
        for who, result in (("ours", mine), (other, reference)):
            rows.append(_row(f"{name}, {who}", result["seconds"], "s", None))
            rows.append(_row(f"{name}, {who}, extra memory", result["memory"], "MiB", None))
        rows.append(_row(f"{name}, times faster", reference["seconds"] / mine["seconds"], "", target))
        rows.append(_row(f"{name}, relative difference in millionths", 1e6 * apart, "", "<= 100"))
    return rows


def _run(samples: int, case: str) -> dict[str, Any]:
    command = [sys.executable, "-c", PROBE, str(samples), str(FEATURES), case]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **SINGLE})
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _numbers(result: dict[str, Any]) -> list[float]:
    value = result["value"]
    return value if isinstance(value, list) else [value]


def _row(name: str, value: float, unit: str, target: str | None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target}
