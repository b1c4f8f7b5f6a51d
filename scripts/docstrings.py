"""Extension of mkdocstrings that converts Sphinx markup in docstrings to Markdown, and formulas to MathML."""

from __future__ import annotations

import re

import griffe
from latex2mathml.converter import convert

DISPLAYED = re.compile(r"^( *)\.\. math::\n((?:\1 +\S.*\n?)+)", flags=re.MULTILINE)


class SphinxToMarkdown(griffe.Extension):
    """Convert ``Example:`` to the section ``Examples:``, ``:class:`~a.b.C` `` to the code ``C``, and ``:math:``."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Convert a docstring before it is parsed."""
        if obj.docstring is not None:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            text = DISPLAYED.sub(displayed_formula, text)
            text = re.sub(r":math:`([^`]+)`", lambda match: convert(match[1]), text)
            text = re.sub(r":[a-z]+:`~[\w.]*?(\w+)`", r"`\1`", text)
            obj.docstring.value = re.sub(r":[a-z]+:`([^`]+)`", r"`\1`", text)


def displayed_formula(match: re.Match[str]) -> str:
    """Return the MathML of a ``.. math::`` block, on one line; Sphinx aligns its lines at ``&``."""
    indent, formula = match[1], " ".join(match[2].split())
    if "&=" in formula:
        formula = rf"\begin{{aligned}} {formula} \end{{aligned}}"
    return f"{indent}{convert(formula, display='block')}\n"
