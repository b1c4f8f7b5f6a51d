"""SIGTERM and Ctrl-C during a command in this process."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from ganmc_lightning.cli import main, sample, training
from ganmc_lightning.cli.callbacks import InterruptHandler
from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED, Terminated
from ganmc_lightning.runs.signals import sigterm_raises


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_any_command(number, status, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.ckpt").touch()
    monkeypatch.setattr(sample, "run", lambda parsed: send(number))
    assert main(["sample", str(tmp_path / "a.ckpt"), "--out", "no-such-file.npz"]) == status
    assert capsys.readouterr().err.startswith("ganmc: interrupted")


class Sends(InterruptHandler):
    """Send a signal in the second epoch, or in the first batch of a prediction."""

    number = signal.SIGTERM

    def on_train_batch_start(self, trainer, *_):
        if trainer.current_epoch == 1:
            send(self.number)

    def on_predict_batch_start(self, *_):
        send(self.number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, TERMINATED), (signal.SIGINT, INTERRUPTED)])
def test_fit(configs, tmp_path, monkeypatch, capsys, number, status):
    monkeypatch.setattr(training, "InterruptHandler", Sends)
    monkeypatch.setattr(Sends, "number", number)
    before = signal.getsignal(signal.SIGINT)
    words = ["fit", "--config", str(configs.teacher), "--trainer.max_epochs", "4"]
    run = tmp_path / "runs" / "teacher"
    try:
        assert main(words) == status
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning ignores further ones
    error = capsys.readouterr().err
    last = run / "checkpoints" / "last.ckpt"
    assert error.count("\n") == 1
    assert error.startswith("ganmc fit: interrupted")
    assert error.endswith(f"; resume with --ckpt_path {last}\n")
    assert not (run / "result.json").exists()
    monkeypatch.undo()
    assert main([*words, "--ckpt_path", str(last)]) == 0
    assert (run / "result.json").exists()


def test_predict(configs, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "InterruptHandler", Sends)
    words = ["predict", "--config", str(configs.teacher), "--ckpt_path", str(trained.teacher_checkpoint)]
    assert main(words) == TERMINATED
    assert "ganmc predict: interrupted by SIGTERM; no checkpoint was saved" in capsys.readouterr().err
    assert not list(tmp_path.rglob("predictions.npz"))


def test_run_process_ends_its_child(tmp_path):
    handles = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
    code = handles + "import os\nprint(os.getpid(), file=open(sys.argv[1], 'w'), flush=True)\ntime.sleep(60)"
    mark = tmp_path / "started"

    def wait_and_send():
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.01)
        send()

    thread = threading.Thread(target=wait_and_send)
    thread.start()
    with pytest.raises(Terminated), sigterm_raises():
        training._run_process([sys.executable, "-c", code, str(mark)])
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def test_run_process_gives_the_status():
    assert training._run_process([sys.executable, "-c", "raise SystemExit(3)"]) == 3
