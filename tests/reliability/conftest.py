"""Fixtures of the campaigns: number of cases and a JSON file of what was measured."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """Return the number of cases: ``--cases``, or the default of the campaign."""

    def number(default: int) -> int:
        given = request.config.getoption("--cases")
        return default if given is None else int(given)

    return number


@pytest.fixture
def record_figures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Return a function that writes figures into ``NAME.json`` in the folder ``--figures``, or prints them.

    Messages in the figures name the interpreter and temporary files without the folders of this machine.
    """
    start = time.monotonic()
    folders = {sys.executable: "python", str(tmp_path_factory.getbasetemp()): "", str(request.config.rootpath): "."}

    def record(name: str, **figures: object) -> None:
        content = {
            "test": request.node.nodeid,
            "cases": request.config.getoption("--cases"),
            **figures,
            "seconds": round(time.monotonic() - start, 1),
            "environment": {
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "threads": os.environ.get("OMP_NUM_THREADS"),
                "python": sys.version.split()[0],
                **{package: version(package) for package in ("torch", "lightning", "numpy", "scikit-learn")},
            },
        }
        text = json.dumps(content, indent=2) + "\n"
        for local, short in folders.items():
            text = text.replace(local, short)
        folder: Path | None = request.config.getoption("--figures")
        if folder is None:
            print(text)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_text(text, encoding="utf-8")

    return record
