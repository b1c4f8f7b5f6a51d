"""Environment of a run: package versions, device, threads and commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Environment = dict[str, object]
"""``{"versions": {name: version}, "device": text, "threads": int, "git": commit or None}``"""

_PACKAGES = ("ganmc-lightning", "torch", "lightning", "torchmetrics", "scikit-learn", "numpy")


def describe_environment(device: str) -> Environment:
    """Return package versions, device, number of threads and git commit of this process.

    Args:
        device: "cpu" or the name of the GPU.
    """
    torch = sys.modules.get("torch")  # imported already if the run uses it
    threads = (os.cpu_count() or 1) if torch is None else int(torch.get_num_threads())
    device = _cpu_model() if device == "cpu" else f"{device} ({_cpu_model()})"
    return {"versions": _versions(), "device": device, "threads": threads, "git": _commit()}


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # e.g. this package, in a checkout that is not installed
            continue
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


@cache
def _commit() -> str | None:
    """Return the commit of the checkout that contains this package; None for an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != package.parent:  # an installed wheel inside another repository
        return None
    commit = _git(package, "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return None
    changed = _git(package, "status", "--porcelain", "--untracked-files=no", ".")
    return f"{commit} with local changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
