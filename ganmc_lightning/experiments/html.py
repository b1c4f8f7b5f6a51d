"""The report as one HTML file that needs nothing else: no script, no font, no picture from outside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from ganmc_lightning.experiments.formatting import duration
from ganmc_lightning.experiments.metric_table import MetricTable
from ganmc_lightning.experiments.report import Report, ReportFigure

# On a narrow screen each line of a table becomes a card whose cells carry their heading with them.
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2327; --soft: #5c666f; --line: #dfe3e6; --paper: #ffffff;
  --page: #f5f6f7; --accent: #0072b2; --warn: #a04500; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --soft: #9aa4ad; --line: #343b42;
  --paper: #1c2126; --page: #14181b; --accent: #5cb3e4; --warn: #e9a26b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; text-wrap: balance; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .7rem; }
.summary { color: var(--soft); margin: 0 0 1.6rem; }
.quick { color: var(--warn); font-weight: 600; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: .4rem 1.1rem; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-size: .82rem; font-weight: 600; text-align: right; vertical-align: bottom; }
th, td { padding: .55rem 0 .55rem 1.2rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tbody tr:last-child td { border-bottom: 0; }
.wide th, .wide td { padding-left: .75rem; font-size: .83rem; }
.wide th:first-child, .wide td:first-child { padding-left: 0; }
.wide td { white-space: nowrap; }
.main td:nth-child(2) { font-weight: 600; white-space: nowrap; }
.main small { font-weight: 400; }
small { color: var(--soft); font-size: .82rem; display: block; }
.notes { color: var(--soft); font-size: .9rem; padding-left: 1.1rem; margin: .9rem 0 0; }
.notes li { margin: .25rem 0; }
.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem;
  margin-top: 2rem; align-items: start; }
figure { margin: 0; background: #ffffff; border: 1px solid var(--line); border-radius: 10px;
  overflow: hidden; }
figcaption { background: var(--paper); border-bottom: 1px solid var(--line); font-weight: 600;
  font-size: .95rem; padding: .6rem 1rem; }
figure img { display: block; width: 100%; height: auto; }
.samples img { image-rendering: pixelated; }
summary { cursor: pointer; color: var(--accent); }
details { margin-top: 2.2rem; }
details .card { margin-top: .7rem; font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; font-size: .9rem;
  margin: .6rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  .main thead { display: none; }
  .main tr { display: block; padding: .6rem 0; border-bottom: 1px solid var(--line); }
  .main tbody tr:last-child { border-bottom: 0; }
  .main td, .main td:first-child { display: flex; justify-content: space-between; gap: 1rem; padding: .1rem 0;
    border: 0; }
  .main td::before { content: attr(data-label); color: var(--soft); font-weight: 400; flex: none; }
  .main td:first-child { font-weight: 600; }
  .main td:first-child::before { content: none; }
  .runs th, .runs td { padding-left: .5rem; font-size: .8rem; }
}
"""


def render_html(report: Report) -> str:
    """Render the report; it reads well on a phone, in light and in dark."""
    title = escape(report.experiment.title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{_summary(report)}
{_main_table(report)}
{_notes(report.notes)}
{"".join(map(_metric_table, report.tables))}
<div class="gallery">{"".join(map(_picture, report.pictures))}</div>
{_runs(report)}
<h2>Where these numbers come from</h2>
<div class="card">{_environment(report)}</div>
</main>
</body>
</html>
"""


def _summary(report: Report) -> str:
    seeds = ", ".join(map(str, report.seeds))
    quick = '<span class="quick">Quick run.</span> ' if report.quick else ""
    plural = "s" if len(report.seeds) > 1 else ""
    text = f"seed{plural} {seeds} · {len(report.runs)} runs · {duration(report.seconds)} of training"
    return f'<p class="summary">{quick}{escape(report.experiment.name)} · {escape(text)}</p>'


def _main_table(report: Report) -> str:
    if not report.rows:
        return ""
    return f'<div class="card">{_table(*report.table(), kind="main")}</div>'


def _metric_table(table: MetricTable) -> str:
    content = _table(*table.cells(), kind="main")
    return f'<h2>{escape(table.table.title)}</h2><div class="card wide">{content}</div>{_notes(table.remarks())}'


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]], kind: str) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(
        "<tr>" + "".join(_cell(*pair) for pair in zip(headings, line, strict=True)) + "</tr>" for line in lines
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(heading: str, text: str) -> str:
    first, _, remark = text.partition("\n")
    small = f"<small>{escape(remark)}</small>" if remark else ""
    return f'<td data-label="{escape(heading)}"><span>{escape(first)}{small}</span></td>'


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _picture(picture: ReportFigure) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    title = escape(picture.title)
    kind = ' class="samples"' if picture.file.startswith("figures/samples") else ""
    image = f'<img alt="{title}" src="data:image/png;base64,{data}">'
    return f"<figure{kind}><figcaption>{title}</figcaption>{image}</figure>"


def _runs(report: Report) -> str:
    table = _table(*report.run_table(), kind="runs")
    return f'<details><summary>Every run</summary><div class="card">{table}</div></details>'


def _environment(report: Report) -> str:
    pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report.environment_lines())
    return f"<dl>{pairs}</dl>"
