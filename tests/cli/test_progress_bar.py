from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import RichProgressBar

from ganmc_lightning.cli.progress_bar import ProgressBar


@pytest.mark.parametrize(
    ("hook", "expected"),
    [("on_train_batch_end", [10.0, 11.0, 12.5, 12.6]), ("on_validation_batch_end", [10, 11, 12.5])],
)
def test_the_progress_bar_is_updated_once_per_second_and_after_the_last_batch_of_an_epoch(
    monkeypatch: pytest.MonkeyPatch, hook: str, expected: list[float]
) -> None:
    now, updates = 0.0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(RichProgressBar, hook, lambda *_: updates.append(now))
    bar: Any = ProgressBar()
    for now in (10.0, 10.2, 10.9, 11.0, 11.9, 12.5, 12.6):
        getattr(bar, hook)(SimpleNamespace(is_last_batch=now == 12.6), None, None, None, 0)
    assert updates == expected
