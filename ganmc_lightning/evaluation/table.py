"""Report evaluation results: a table for the terminal, and plain values for a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ganmc_lightning.evaluation.evaluator import GeneratorEvaluator
from ganmc_lightning.evaluation.result import EvaluationResult


class MetricRow(NamedTuple):
    """One row of the table.

    Attributes:
        label: label in the first column.
        value: column name of the values.
        spread: column name of the values after ±; empty if there are none.
    """

    label: str
    value: str
    spread: str = ""


METRIC_ROWS = (
    MetricRow("Inception Score", "inception_score", "inception_score_std"),
    MetricRow("FID", "fid"),
    MetricRow("KID", "kid", "kid_std"),
    MetricRow("precision", "precision"),
    MetricRow("recall", "recall"),
    MetricRow("density", "density"),
    MetricRow("coverage", "coverage"),
    MetricRow("near duplicates", "near_duplicate_rate"),
    MetricRow("  of held-out real samples", "near_duplicate_rate_held_out"),
    MetricRow("Laplacian variance", "laplacian_variance"),
    MetricRow("  ratio to the reference", "laplacian_variance_ratio"),
    MetricRow(
        "Compression Score (5 epochs)", "compression_score_5_epochs", "compression_score_5_epochs_standard_error"
    ),
    MetricRow("Compression Score (1 epoch)", "compression_score_1_epoch", "compression_score_1_epoch_standard_error"),
)


def print_results(evaluator: GeneratorEvaluator, results: Sequence[EvaluationResult], data_name: str) -> None:
    """Print the table, the settings and the notes."""
    console = Console(soft_wrap=True, markup=False, highlight=False)
    table = make_table(results)
    console.width = max(console.width, console.measure(table).maximum)  # wrap lines rather than truncate numbers
    console.print(table)
    for line in [*describe_settings(evaluator, data_name), *notes(results)]:
        console.print(line)


def make_table(results: Sequence[EvaluationResult]) -> Table:
    """Return a table with one row per metric and one column per sample set."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for result in results:
        table.add_column(Text(f"{result.name}\nn = {len(result.samples):,}"), justify="right", no_wrap=True)
    for row in METRIC_ROWS:
        if any(row.value in result.values for result in results):
            table.add_row(Text(row.label), *(Text(_format_cell(row, result.values)) for result in results))
    return table


def describe_settings(evaluator: GeneratorEvaluator, data_name: str) -> list[str]:
    """Return the settings shared by all sample sets, one line per topic."""
    real, training = (len(evaluator.data.samples(split)[1]) for split in (evaluator.real_split, "train"))
    lines = [
        f"real: {data_name}, {evaluator.real_split} ({real:,}); training samples {training:,}; seed {evaluator.seed}"
    ]
    if evaluator.extractor is not None:
        settings = evaluator.extractor.settings()
        name, digest = settings.pop("extractor"), settings.pop("extractor_digest")
        lines.append(f"extractor: {name}, {digest}; " + "; ".join(f"{key} {value}" for key, value in settings.items()))
    if evaluator.compression:
        students = next(iter(evaluator.compression.values())).settings()
        lines.append(
            f"students: seeds {students['seeds']}, batch size {students['batch_size']}, tested on "
            f"{evaluator.held_out_split}; ± is the standard error"
        )
    return lines


def notes(results: Sequence[EvaluationResult]) -> list[str]:
    """Return warnings and skipped metrics with reasons, one line each."""
    lines = [
        f"{result.name}: {metric}: {'; '.join(warnings)}"
        for result in results
        for metric, warnings in result.warnings.items()
        if warnings
    ]
    metrics_by_reason: dict[str, list[str]] = {}
    for result in results:
        for metric, reason in result.skipped.items():
            everywhere = all(metric in each.skipped for each in results)
            label = metric if everywhere else f"{metric} of {result.name}"
            labels = metrics_by_reason.setdefault(reason, [])
            if label not in labels:
                labels.append(label)
    return lines + [f"skipped: {', '.join(labels)} ({reason})" for reason, labels in metrics_by_reason.items()]


def flatten_metrics(results: Sequence[EvaluationResult]) -> dict[str, float]:
    """Return ``test/<metric>`` for one sample set, ``test/<name>/<metric>`` for several."""
    return {
        f"test/{metric}" if len(results) == 1 else f"test/{result.name}/{metric}": value
        for result in results
        for metric, value in result.values.items()
    }


def collect_settings(evaluator: GeneratorEvaluator, results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """Return the settings of an evaluation: of the evaluator, of the extractor, and of each metric of each set."""
    shared: dict[str, str] = {} if evaluator.extractor is None else evaluator.extractor.settings()
    return {
        "real_split": evaluator.real_split,
        "held_out_split": evaluator.held_out_split,
        "num_train": len(evaluator.data.samples("train")[1]),
        "num_samples": evaluator.num_samples,
        "seed": evaluator.seed,
        "sharpness_reference": (
            f"real:{evaluator.real_split}"
            if evaluator.sharpness_reference is None
            else evaluator.sharpness_reference.origin
        ),
        **shared,
        "samples": {
            result.name: {
                "origin": result.origin,
                "num_samples": len(result.samples),
                "metrics": {
                    metric: {key: value for key, value in settings.items() if key not in shared}
                    for metric, settings in result.settings.items()
                },
                "warnings": {metric: warnings for metric, warnings in result.warnings.items() if warnings},
                "skipped": result.skipped,
            }
            for result in results
        },
    }


def _format_cell(row: MetricRow, values: Mapping[str, float]) -> str:
    if row.value not in values:
        return "-"
    text = format_number(values[row.value])
    spread = values.get(row.spread, math.nan)
    return text if math.isnan(spread) else f"{text} ± {format_number(spread)}"


def format_number(value: float) -> str:
    """Format a number with four significant digits, without an exponent unless it is tiny.

    Example:
        >>> format_number(12345.6), format_number(0.73311), format_number(8.34), format_number(0.0000123)
        ('12,346', '0.7331', '8.340', '1.2e-05')
    """
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if 0 < size < 1e-4:
        return f"{value:.1e}"
    decimals = 4 if size < 1 else max(0, 3 - int(math.log10(size)))
    return f"{value:,.{decimals}f}"
