"""``ganmc forest``: the random-forest study, one seed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from ganmc_lightning.cli.forest_config import ForestConfig, parse_arguments
from ganmc_lightning.cli.imports import allow_imports, take_imports
from ganmc_lightning.exceptions import ConfigurationError, user_message
from ganmc_lightning.experiments.fingerprint import hash_source
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.folder_lock import lock_folder
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.tabular.export import (
    check_exports,
    compile_c,
    count_label_differences,
    save_skops,
    to_c,
    to_onnx,
)
from ganmc_lightning.tabular.study import Study
from ganmc_lightning.tabular.study_parts import StudyParts
from ganmc_lightning.tabular.study_result import StudyResult

COLUMNS = {
    "auc": ("AUC", "{:.4f}"),
    "average_precision": ("AP", "{:.4f}"),
    "accuracy": ("acc.", "{:.4f}"),
    "bytes": ("kB", "{:,.0f}"),
    "compression_ratio": ("compression", "{:,.1f}"),
    "speedup": ("speedup", "{:,.1f}"),
}
"""Metric -> heading and format; the table fits into 80 columns."""


def run_forest(arguments: list[str], command: str) -> int:
    """Run the study, print its table, write ``result.json`` and ``config.yaml``.

    A study that was stopped continues after its last finished training set.

    Args:
        arguments: arguments of the command line, ``forest`` first.
        command: the full command line, for ``result.json``.

    Returns:
        The exit status 0.

    Raises:
        ConfigurationError: an argument, the configuration file or the data are invalid.
    """
    try:
        modules, rest = take_imports(arguments[1:])
        allow_imports(modules)
        config = parse_arguments(rest)
        with ExitStack() as locks:
            for folder in {path.resolve(): path for path in (config.out, config.export) if path is not None}.values():
                locks.enter_context(lock_folder(folder, "--out" if folder == config.out else "--export"))
            _run(config, command)
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        raise ConfigurationError(message) from error
    return 0


def _run(config: ForestConfig, command: str) -> None:
    metric = config.study.metric
    if config.export is not None:  # checked before the study, which takes minutes
        check_exports()
        if config.export.exists() and not config.export.is_dir():
            raise ConfigurationError(f"--export: {config.export} is a file, expected a folder")
    started = time.perf_counter()
    console = Console(markup=False, emoji=False)  # a path may contain [v1] or :x:
    splits = config.data.load()

    def log(text: str) -> None:
        console.print(f"{time.perf_counter() - started:5.0f} s  {text}", highlight=False, soft_wrap=True)

    n_jobs, folder, synthesizers = config.n_jobs or _processors(), RunFolder(config.out), config.load_synthesizers()
    versions = (hash_source(), sklearn.__version__, np.__version__)
    parts = StudyParts(folder.parts).with_key(config.text, splits, config.study, synthesizers, versions)
    study = Study(splits, config.study, synthesizers, config.seed, n_jobs, log, parts)
    result = study.run()
    content = {
        "command": command,
        "seed": config.seed,
        "data": {
            "name": config.data.dataset.name,
            "samples": {name: len(getattr(splits, name).X) for name in ("fit", "validation", "train", "test")},
            "features": splits.train.X.shape[1],
            "classes": int(splits.train.y.max()) + 1,
        },
        "settings": {"metric": metric, "n_jobs": n_jobs},
        "device": "cpu",
        "train_seconds": round(time.perf_counter() - started + result.earlier_seconds, 2),
    }
    _write(folder, config.text, {**content, **result.to_dict(metric)})
    _print_table(console, result)
    console.print(str(config.out), highlight=False, soft_wrap=True)
    if config.export is not None:
        name, student = study.best_small_student(result)
        _export(name, {"student": student, "teacher": result.teacher}, config.export, splits.train.X, console)
    parts.remove()


def _write(folder: RunFolder, config: str, content: dict[str, Any]) -> None:
    with atomic_write(folder.config) as file:
        file.write(config)
    folder.update_result(**content)


def _print_table(console: Console, result: StudyResult) -> None:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column("student", no_wrap=True)
    for heading, _ in COLUMNS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for name in dict.fromkeys(key.rpartition("/")[0] for key in result.metrics):
        values = {column: result.metrics.get(f"{name}/{column}", math.nan) for column in COLUMNS}
        values["bytes"] /= 1000
        table.add_row(name, *(_format(values[column], form) for column, (_, form) in COLUMNS.items()))
    console.print(table)


def _format(value: float, form: str) -> str:
    """Format a number; the size of a model that cannot be pickled is unknown."""
    return "-" if math.isnan(value) else form.format(value)


def _export(name: str, models: Mapping[str, Any], folder: Path, X: NDArray[Any], console: Console) -> None:
    """Write the small student with the best validation metric, and the teacher, in all supported formats.

    Args:
        name: name of the student.
        models: ``student`` and ``teacher``.
        folder: folder of the files.
        X: training samples (N, D).
        console: console for the messages.

    Raises:
        ConfigurationError: a format does not support a model; all other files are written.
    """
    writers: list[Callable[[], Path]] = [lambda: compile_c(to_c(models["student"], folder, "student"))]
    for stem, model in models.items():
        writers += [
            partial(to_onnx, model, folder / f"{stem}.onnx"),
            partial(save_skops, model, folder / f"{stem}.skops"),
        ]
    writers.append(partial(to_c, models["teacher"], folder, "teacher"))
    written, errors = [], []
    for write in writers:
        try:
            written.append(write())
        except ConfigurationError as error:
            errors.append(str(error))
    console.print(f"{name} and the teacher: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)
    for stem, model in models.items():
        file = folder / f"{stem}.onnx"
        if file in written:
            count = count_label_differences(model, file, X)
            text = f"{file}: the label differs from scikit-learn's for {count} of {len(X)} training samples"
            console.print(text, highlight=False, soft_wrap=True)
    if errors:
        raise ConfigurationError("; ".join(errors))


def _processors() -> int:
    """Return the number of processors available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
