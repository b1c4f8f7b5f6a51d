"""Rendering of a report as HTML and Markdown."""

from __future__ import annotations

from base64 import b64encode

from jinja2 import Environment, PackageLoader, StrictUndefined

from ganmc_lightning.experiments.report import Report

_TEMPLATES = Environment(
    loader=PackageLoader("ganmc_lightning.experiments"),
    autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters["base64"] = lambda content: b64encode(content).decode("ascii")


def render_html(report: Report) -> str:
    """Render a report as one HTML file without scripts or external files; figures are embedded."""
    return _TEMPLATES.get_template("report.html.j2").render(report=report)


def render_markdown(report: Report) -> str:
    """Render a report as Markdown; figures are linked by paths relative to the report."""
    return _TEMPLATES.get_template("report.md.j2").render(report=report)
