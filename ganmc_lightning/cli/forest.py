"""``ganmc forest``: the random-forest study, one seed."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganmc_lightning.exceptions import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from ganmc_lightning.tabular.study import StudyResult

COLUMNS = {
    "auc": ("AUC", "{:.4f}"),
    "accuracy": ("acc.", "{:.4f}"),
    "log_loss": ("loss", "{:.3f}"),
    "ece": ("ECE", "{:.3f}"),
    "bytes": ("kB", "{:,.0f}"),
    "compression_ratio": ("smaller", "{:,.1f}"),
    "speedup": ("faster", "{:,.1f}"),
}
"""Metric -> heading and format."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the study, a YAML file")
    parser.add_argument("--seed", type=int, default=0, help="of teacher, synthetic rows and students (0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/<data>/forest/seed<seed>")
    parser.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a GAN's checkpoint instead of the file's; NAME= leaves it out",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="instead of a value in the file, such as max_trees=5",
    )
    parser.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="write the best small student, and the teacher, as C, ONNX and skops files",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="threads to grow trees on (all processors)")


def run(args: argparse.Namespace) -> int:
    """Run the study, print its table, write ``result.json`` and ``config.yaml``.

    Raises:
        ConfigurationError: an argument, the file or the data cannot be used.
    """
    # Imported here so that the other commands, and --help, need not wait for scikit-learn and PyTorch.
    from rich.console import Console

    from ganmc_lightning.cli.forest_config import read_config
    from ganmc_lightning.tabular.export import check_exports
    from ganmc_lightning.tabular.study import Study

    if args.seed < 0:
        raise ConfigurationError(f"--seed must not be negative, got {args.seed}")
    jobs = _processors() if args.jobs is None else args.jobs
    if jobs < 1:
        raise ConfigurationError(f"--jobs must be at least 1, got {jobs}")
    if args.export is not None:  # before minutes of work
        check_exports()
        if args.export.exists() and not args.export.is_dir():
            raise ConfigurationError(f"--export: {args.export} is a file: name a folder")
    started = time.perf_counter()
    console = Console()
    config = read_config(args.config, args.overrides, args.checkpoint)
    out = args.out or Path("runs", config.data.dataset.name, "forest", f"seed{args.seed}")
    table = config.data.load()

    def report(text: str) -> None:
        console.print(f"{time.perf_counter() - started:5.0f} s  {text}", highlight=False, soft_wrap=True)

    study = Study(table, config.settings, config.load_synthesizers(), args.seed, jobs, report)
    result = study.run()
    facts = {
        "command": args.command,
        "seed": args.seed,
        "data": {
            "name": config.data.dataset.name,
            "rows": {name: len(getattr(table, name).rows) for name in ("fit", "validation", "train", "test")},
            "features": table.train.rows.shape[1],
            "classes": int(table.train.labels.max()) + 1,
        },
        "settings": {"metric": config.settings.metric, "jobs": jobs},
        "device": "cpu",
        "train_seconds": round(time.perf_counter() - started, 2),
    }
    _write(out, config.text, {**facts, **result.document(config.settings.metric)})
    _print_table(console, result)
    console.print(str(out), highlight=False, soft_wrap=True)
    if args.export is not None:
        _export(result, config.settings.metric, args.export, table.train.rows, console)
    return 0


def _write(out: Path, config: str, content: dict[str, object]) -> None:
    from ganmc_lightning.io.atomic import atomic_write
    from ganmc_lightning.runs.folder import RunFolder

    try:
        with atomic_write(out / "config.yaml") as file:
            file.write(config)
        RunFolder(out).update_result(**content)
    except OSError as error:
        raise ConfigurationError(f"cannot write to {out} ({error.strerror}): name another folder by --out") from error


def _print_table(console: Console, result: StudyResult) -> None:
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True)
    grid.add_column("student", no_wrap=True)
    for heading, _ in COLUMNS.values():
        grid.add_column(heading, justify="right", no_wrap=True)
    for name in dict.fromkeys(key.rpartition("/")[0] for key in result.metrics):
        values = {column: result.metrics[f"{name}/{column}"] for column in COLUMNS}
        values["bytes"] /= 1000
        grid.add_row(name, *(form.format(values[column]) for column, (_, form) in COLUMNS.items()))
    console.print(grid)


def _export(result: StudyResult, metric: str, folder: Path, rows: NDArray[Any], console: Console) -> None:
    """Write the small student that does best on validation rows, and the teacher, in every form that can be written.

    Raises:
        ConfigurationError: a file was refused; the others are written.
    """
    from ganmc_lightning.tabular.export import compile_c, label_flips, save_skops, to_c, to_onnx
    from ganmc_lightning.tabular.study import SMALL

    small = [name for name in result.students if name.endswith(SMALL)]
    best = max(small, key=lambda name: result.validation[f"{name}/{metric}"])
    student = result.students[best]
    forms: list[Callable[[], Path]] = [lambda: compile_c(to_c(student, folder, "student"))]
    models = {"student": student, "teacher": result.teacher}
    for name, model in models.items():
        forms += [
            partial(to_onnx, model, folder / f"{name}.onnx"),
            partial(save_skops, model, folder / f"{name}.skops"),
        ]
    forms.append(lambda: to_c(result.teacher, folder, "teacher"))
    written, refused = [], []
    for write in forms:
        try:
            written.append(write())
        except ConfigurationError as error:
            refused.append(str(error))
    console.print(f"{best} and the teacher: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)
    for name, model in models.items():
        file = folder / f"{name}.onnx"
        if file in written:
            flips = label_flips(model, file, rows)
            text = f"{file}: the label differs from scikit-learn's in {flips} of {len(rows)} training rows"
            console.print(text, highlight=False, soft_wrap=True)
    if refused:
        raise ConfigurationError("; ".join(refused))


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
