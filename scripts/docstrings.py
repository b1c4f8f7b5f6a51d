"""An extension of mkdocstrings' parser: what the sources say in Sphinx's way, said in Markdown's."""

from __future__ import annotations

import re

import griffe


class SphinxHabits(griffe.Extension):
    """Makes ``Example:`` a section, as ``Examples:`` is, and ``:class:`~a.b.C` `` the code ``C``."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrite a docstring before it is parsed."""
        if obj.docstring is not None:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            text = re.sub(r":[a-z]+:`~[\w.]*?(\w+)`", r"`\1`", text)
            obj.docstring.value = re.sub(r":[a-z]+:`([^`]+)`", r"`\1`", text)
