"""The scores as a table for the terminal, and as plain values for a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from ganmc_lightning.evaluation.evaluator import EvaluationResult


class Line(NamedTuple):
    """One line of the table.

    Attributes:
        label: what the reader sees.
        value: name of its numbers.
        spread: name of what stands behind the ±, if any.
    """

    label: str
    value: str
    spread: str = ""


LINES = (
    Line("Inception Score", "inception_score", "inception_score_std"),
    Line("FID", "fid"),
    Line("KID", "kid", "kid_std"),
    Line("precision", "precision"),
    Line("recall", "recall"),
    Line("density", "density"),
    Line("coverage", "coverage"),
    Line("near copies", "near_duplicates"),
    Line("  of held-out real samples", "near_duplicates_held_out"),
    Line("variance of Laplacian", "laplacian_variance"),
    Line("  over the reference's", "laplacian_variance_ratio"),
    Line("Compression Score (paper)", "compression_score_paper", "compression_score_paper_standard_error"),
    Line("Compression Score (poster)", "compression_score_poster", "compression_score_poster_standard_error"),
)


def make_table(scores: Sequence[EvaluationResult]) -> Table:
    """A line a metric, a column a sample set."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for found in scores:
        table.add_column(Text(f"{found.name}\nn = {found.n:,}"), justify="right", no_wrap=True)
    for line in LINES:
        if any(line.value in found.values for found in scores):
            table.add_row(Text(line.label), *(Text(_cell(line, found.values)) for found in scores))
    return table


def remarks(scores: Sequence[EvaluationResult]) -> list[str]:
    """What is doubtful about the numbers, and which are missing and why; one line each."""
    doubts = [
        f"{found.name}: {metric}: {protocol['flags']}"
        for found in scores
        for metric, protocol in found.protocols.items()
        if protocol["flags"]
    ]
    missing: dict[str, list[str]] = {}
    for reason, metric, name in (
        (reason, metric, found.name) for found in scores for metric, reason in found.skipped.items()
    ):
        where = metric if all(metric in found.skipped for found in scores) else f"{metric} of {name}"
        if where not in missing.setdefault(reason, []):
            missing[reason].append(where)
    return doubts + [f"left out: {', '.join(what)} ({reason})" for reason, what in missing.items()]


def flatten_metrics(scores: Sequence[EvaluationResult]) -> dict[str, float]:
    """``test/<metric>`` of one sample set, ``test/<name>/<metric>`` of several."""
    alone = len(scores) == 1
    return {
        f"test/{metric}" if alone else f"test/{found.name}/{metric}": value
        for found in scores
        for metric, value in found.values.items()
    }


def _cell(line: Line, values: Mapping[str, float]) -> str:
    if line.value not in values:
        return "-"
    text = number(values[line.value])
    spread = values.get(line.spread, math.nan)
    return text if math.isnan(spread) else f"{text} ± {number(spread)}"


def number(value: float) -> str:
    """Four significant digits, never in powers of ten unless it is tiny.

    Example:
        >>> number(12345.6), number(0.73311), number(8.34), number(0.0000123)
        ('12,346', '0.7331', '8.340', '1.2e-05')
    """
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if 0 < size < 1e-4:
        return f"{value:.1e}"
    decimals = 4 if size < 1 else max(0, 3 - int(math.log10(size)))
    return f"{value:,.{decimals}f}"
