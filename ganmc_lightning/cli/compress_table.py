"""``ganmc compress MODEL TABLE``: compress a fitted tabular model into a small one."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ganmc_lightning.cards.formatting import format_interval, format_seconds, format_size
from ganmc_lightning.cli.card_environment import card_environment
from ganmc_lightning.cli.compress_arguments import parse_size
from ganmc_lightning.cli.compress_inputs import CompressInputs, read_inputs
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import check_writable
from ganmc_lightning.io.dependencies import check_packages
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.tabular.card import CompressionCard
from ganmc_lightning.tabular.card.text import HEADINGS, conclusion_of
from ganmc_lightning.tabular.compress import Compression, compress_table
from ganmc_lightning.tabular.compress_files import check_output_folder, write_compression
from ganmc_lightning.tabular.compress_search import OnProgress
from ganmc_lightning.tabular.export.dependencies import ONNX_PACKAGES

OPTIONS = {
    "max_nodes": "--max-nodes",
    "max_bytes": "--max-bytes",
    "max_predict_seconds": "--max-predict-seconds",
    "seconds": "--time",
    "students": "--students",
    "student": "--students",
    "sample_weight": "--weight",
}
"""Argument of Python -> option, for error messages."""


def run_table(arguments: argparse.Namespace) -> int:
    """Compress a model, write the folder and print a summary.

    Raises:
        ConfigurationError: an argument, a file or a table is invalid, or no student is small enough.
    """
    max_bytes = None if arguments.max_bytes is None else parse_size(arguments.max_bytes)
    check_packages((*ONNX_PACKAGES, "skops"))
    try:
        out = check_output_folder(arguments.out)
    except ConfigurationError as error:
        raise ConfigurationError(f"--out: {error}") from error
    for place in (out.parent, out):  # the folder itself is replaced, with its files
        check_writable(place, "--out")
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("reading", total=arguments.time)
        inputs = read_inputs(arguments)

        def report(text: str, seconds: float) -> None:
            progress.update(task, description=text, completed=min(seconds, arguments.time))

        compression = _compress(arguments, inputs, max_bytes, report)
        progress.update(task, description="writing", completed=arguments.time)
        card = write_compression(
            compression,
            out,
            arguments.command,
            card_environment(),
            partial(_write_result, seed=arguments.seed),
        )
    _print_summary(card, arguments.out)
    return 0


def _compress(
    arguments: argparse.Namespace, inputs: CompressInputs, max_bytes: int | None, report: OnProgress
) -> Compression:
    try:
        return compress_table(
            inputs.teacher,
            inputs.X,
            inputs.y,
            sample_weight=inputs.sample_weight,
            regression=inputs.regression,
            validation=inputs.validation,
            test=inputs.test,
            synthesizers=inputs.synthesizers,
            students=arguments.students,
            max_nodes=arguments.max_nodes,
            max_bytes=max_bytes,
            max_predict_seconds=arguments.max_predict_seconds,
            seconds=arguments.time,
            random_state=arguments.seed,
            on_progress=report,
        )
    except ConfigurationError as error:
        text = str(error)
        for argument, option in OPTIONS.items():
            if text.startswith(f"{argument}:"):
                raise ConfigurationError(f"{option}{text.removeprefix(argument)}") from error
        raise


def _write_result(card: CompressionCard, folder: Path, seed: int) -> None:
    """Write ``result.json``: scores, sizes and times of the card."""
    compression, profiles, compiled = card.compression, card.profiles, card.compiled
    metrics = {
        f"test/{model}/{key}": value for model, values in card.scores.metrics.items() for key, value in values.items()
    }
    intervals = {f"{name} {card.scores.score}": list(value) for name, value in card.scores.intervals.items()}
    intervals |= {f"student minus {name}": list(value) for name, value in card.scores.differences.items()}
    chosen = compression.model.chosen_
    RunFolder(folder).update_result(
        command=card.command,
        seed=seed,
        metrics=metrics,
        train_seconds=round(compression.search_seconds, 2),
        device="cpu",
        settings={
            "student": chosen.student,
            "fitted_to": compression.training_text,
            "estimator": repr(chosen.estimator),
            "validation_score": chosen.score,
            "is_plain": compression.is_plain,
            "teacher_scores": compression.rows.teacher_scores,
            "skipped": list(compression.skipped),
            "unusable": dict(compression.unusable),
            "export_notes": [*card.export_notes, *compiled.notes],
            "intervals": intervals,
        },
        data={"train_rows": len(compression.rows.y), "test_rows": len(compression.rows.y_test)},
        sizes={
            "models": {
                name: {"trees": item.trees, "nodes": item.nodes, "bytes": item.bytes} for name, item in profiles.items()
            },
            "files": dict(card.files),
            "object": None if compiled.size is None else asdict(compiled.size),
            "object_int16": None if compiled.rounded_size is None else asdict(compiled.rounded_size),
        },
        costs={
            **{name: item._asdict() for name, item in card.latencies.items()},
            **({} if compiled.latency is None else {"student_c": compiled.latency._asdict()}),
        },
    )


def _print_summary(card: CompressionCard, folder: Path) -> None:
    print(conclusion_of(card.compression, card.scores).text)
    for name, interval in card.scores.intervals.items():
        if name == "plain" and card.compression.is_plain:
            continue
        profile, latency = card.profiles[name], card.latencies[name]
        nodes = "" if profile.nodes is None else f"{profile.nodes:,} nodes, "
        size = "" if profile.bytes is None else f"{format_size(profile.bytes)}, "
        score = f"{HEADINGS[card.scores.score]} {format_interval(interval)}"
        print(f"  {name:<8} {score}, {nodes}{size}{format_seconds(latency.row)} per row")
    compiled = card.compiled
    parts = [] if compiled.size is None else [f"{compiled.size.flash_bytes:,} B"]
    parts += [] if compiled.latency is None else [f"{format_seconds(compiled.latency.row)} per row"]
    if parts:
        print(f"  {'C':<8} {', '.join(parts)}")
    print(f"{folder}{os.sep}: {', '.join(sorted(path.name for path in folder.glob('[!.]*')))}")
