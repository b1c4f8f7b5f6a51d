from __future__ import annotations

import pytest

from ganmc_lightning.cards.formatting import format_large, format_seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (999_499, "999 k"),
        (999_600, "1 M"),
        (999_999_999, "1 G"),
        (1_234_000_000_000, "1.23 T"),
        (1_234_000_000_000_000, "1230 T"),
    ],
)
def test_large(count: int, text: str) -> None:
    assert format_large(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 µs"), (0.0009996, "1 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (1234.0, "1230 s")],
)
def test_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
