"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from ganmc_lightning.experiments.formatting import duration
from ganmc_lightning.experiments.report import Report


def render_markdown(report: Report) -> str:
    """Render the report; its pictures are linked, relative to the file."""
    experiment = report.experiment
    parts = [f"# {experiment.title}", _summary(report)]
    if report.rows:
        parts.append(_table(*report.table()))
    if report.notes:
        parts.append("\n".join(f"- {note}" for note in report.notes))
    for table in report.tables:
        parts += [f"## {table.table.title}", _table(*table.cells())]
        parts += ["\n".join(f"- {remark}" for remark in table.remarks())] if table.remarks() else []
    parts += [f"## {picture.title}\n\n![{picture.title}]({picture.file})" for picture in report.pictures]
    parts.append("## Every run\n\n" + _table(*report.run_table()))
    lines = "\n".join(f"- {name}: `{value}`" for name, value in report.environment_lines())
    parts.append(f"## Where these numbers come from\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def _summary(report: Report) -> str:
    seeds = ", ".join(map(str, report.seeds))
    plural = "s" if len(report.seeds) > 1 else ""
    kind = "Quick run of e" if report.quick else "E"
    return (
        f"{kind}xperiment `{report.experiment.name}`, seed{plural} {seeds}, "
        f"{len(report.runs)} runs, {duration(report.seconds)} of training."
    )


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = [":---", *["---:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(map(_plain, line)) + " |" for line in (headings, rule, *lines))


def _plain(text: str) -> str:
    """Put a cell's remark in brackets behind it, and keep its text from ending the cell."""
    first, _, remark = text.replace("|", "\\|").partition("\n")
    return f"{first} ({remark})" if remark else first
