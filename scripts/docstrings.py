"""Extension of mkdocstrings that converts Sphinx markup in docstrings to Markdown."""

from __future__ import annotations

import re

import griffe


class SphinxToMarkdown(griffe.Extension):
    """Convert ``Example:`` to the section ``Examples:``, and ``:class:`~a.b.C` `` to the code ``C``."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Convert a docstring before it is parsed."""
        if obj.docstring is not None:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            text = re.sub(r":[a-z]+:`~[\w.]*?(\w+)`", r"`\1`", text)
            obj.docstring.value = re.sub(r":[a-z]+:`([^`]+)`", r"`\1`", text)
