from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from rich.console import Console
from rich.progress import Progress

from ganmc_lightning.cli.progress_bar import NetworkSummary, ProgressBar
from ganmc_lightning.modules import ClassifierModule
from ganmc_lightning.networks import MLPClassifier


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


def test_the_end_of_a_run_waits_for_the_thread_at_most_a_tenth_of_a_second() -> None:
    assert ProgressBar().refresh_rate >= 10  # the thread sleeps for 1 / refresh_rate seconds


def test_columns_and_metrics_at_80_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    bar: Any = ProgressBar()
    metrics = {"train/loss_generator": 1.23456, "train/loss_discriminator": 0.5, "val/compression_score": 0.98}
    monkeypatch.setattr(RichProgressBar, "get_metrics", lambda *_: {**metrics, "val/accuracy": 0.9, "v_num": 1})
    console = Console(width=80, force_terminal=False)
    progress = Progress(*bar.configure_columns(None), console=console, auto_refresh=False)
    bar.train_progress_bar_id = progress.add_task("Epoch 298/299", total=1234, completed=1234)
    progress.add_task("Validation", total=10)
    checkpoint = ModelCheckpoint(monitor="val/compression_score")
    assert bar.get_metrics(SimpleNamespace(checkpoint_callback=checkpoint), None) == {}
    with console.capture() as capture:
        console.print(progress.get_renderable())
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert all(text in lines[0] for text in ("Epoch 298/299", "1234/1234", "0:00:00", "it/s"))
    assert lines[1] == "loss_generator: 1.235  loss_discriminator: 0.5  val/compression_score: 0.98"
    assert lines[2].startswith("Validation")


def test_the_summary_has_no_flops(capsys: pytest.CaptureFixture[str]) -> None:
    module = ClassifierModule(MLPClassifier(4, 3, hidden=(5,)))
    trainer: Any = SimpleNamespace(is_global_zero=True, strategy=None)
    NetworkSummary().on_fit_start(trainer, module)
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["network", "MLPClassifier", "43", "train"]
    assert "43 trainable parameters, 0 frozen" in out
    assert "FLOP" not in out
