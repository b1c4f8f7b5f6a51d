from __future__ import annotations

import pytest

from ganmc_lightning.io.export_formats import split_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a, b,,c ", ["a", "b", "c"]),
        ('"Height, cm",b', ["Height, cm", "b"]),
        ('a, "b ""c"", d"', ["a", 'b "c", d']),
        ('5" pipe,b', ['5" pipe', "b"]),
        ('"two\nlines, of text",b', ["two\nlines, of text", "b"]),
        ("", []),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    assert split_names(text) == names
