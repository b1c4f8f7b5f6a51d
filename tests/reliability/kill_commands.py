"""Tiny commands of the campaign `kills`, and the processes that run them."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "configs"
SERVER = Path(__file__).with_name("command_server.py")
EXPERIMENT = """
experiment: digits
title: Three stages, two seeds
seeds: [0, 1]
stages:
  teacher: {config: student.yaml, overrides: {trainer.max_epochs: 6}}
  acgan: {config: acgan.yaml, needs: [teacher], test: false, overrides: {trainer.max_epochs: 3}}
  mixed: {config: distillation.yaml, needs: [teacher, acgan], overrides: {trainer.max_epochs: 4}}
  generated:
    command: >-
      evaluate {acgan}/checkpoints/best.ckpt --data digits --num-samples 300 --out {run_dir}
      --extractor classifier:{teacher}/checkpoints/best.ckpt
    needs: [teacher, acgan]
quick: {trainer.check_val_every_n_epoch: 1, trainer.log_every_n_steps: 5}
report:
  rows: [{name: Teacher, stage: teacher}, {name: Student, stage: mixed}]
  learning_curves: {title: Learning curves, stages: [teacher, mixed]}
  sample_grids: [acgan]
"""
FOREST = """
data: {dataset: ganmc_lightning.data.datasets.BreastCancer, validation_fraction: 0.2}
metric: auc
max_trees: 2
synthetic_ratio: 1
teacher: {class_path: sklearn.ensemble.RandomForestClassifier, init_args: {n_estimators: 30}}
synthesizers:
  jitter: {class_path: ganmc_lightning.synthesizers.JitterSynthesizer, init_args: {noise_std: 0.1}}
  munge: ganmc_lightning.synthesizers.MungeSynthesizer
"""
FIT = (
    "--trainer.check_val_every_n_epoch 2 --trainer.log_every_n_steps 5 --trainer.enable_progress_bar false "
    "--trainer.default_root_dir run"
)


@dataclass(frozen=True)
class Command:
    """A command that writes into the folder `run`.

    Attributes:
        name: name of the kind.
        arguments: command line.
        forked: whether it is forked from a process that has imported the package, and not started.
    """

    name: str
    arguments: tuple[str, ...]
    forked: bool = True


def write_inputs(folder: Path) -> None:
    """Write configurations, a data root and a table into a new folder."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    shutil.copytree(CONFIGS / "digits", folder / "digits")
    (folder / "digits" / "kills.experiment.yaml").write_text(EXPERIMENT)
    (folder / "forest.yaml").write_text(FOREST)
    X, y = load_breast_cancer(return_X_y=True)
    header = ",".join([*(f"x{column}" for column in range(X.shape[1])), "y"])
    np.savetxt(folder / "rows.csv", np.column_stack([X, y]), delimiter=",", header=header, comments="", fmt="%.8g")


def make_commands(inputs: Path) -> list[Command]:
    """Return the commands; those after the first two need its results in `inputs/teacher` and `inputs/acgan`."""
    teacher, gan = (inputs / name / "checkpoints" / "best.ckpt" for name in ("teacher", "acgan"))
    digits = inputs / "digits"
    experiment = f"reproduce {digits}/kills.experiment.yaml --quick --out run"
    monitored = f"--trainer.callbacks.init_args.teacher.init_args.path {teacher}"
    lines = {
        "fit": f"fit --config {digits}/student.yaml --trainer.max_epochs 12 {FIT}",
        "fit_gan": f"fit --config {digits}/acgan.yaml {monitored} --trainer.max_epochs 6 {FIT}",
        "reproduce": f"{experiment} --seeds 0",
        "reproduce_jobs": f"{experiment} --jobs 2",
        "forest": f"forest --config {inputs}/forest.yaml --out run",
        "evaluate": f"evaluate {gan} --data digits --extractor classifier:{teacher} --num-samples 1500 --out run "
        "--nearest-plot run/nearest.png",
        "compress_images": f"compress digits --teacher {teacher} --epochs 8 --smaller 3 --baseline "
        "--format onnx,safetensors --out run",
        "compress_table": f"compress {inputs}/rows.csv --teacher forest --target y --students tree --time 1h --out run",
        "export": f"export {teacher} --format onnx,pt2,safetensors --out run",
    }
    return [Command(name, tuple(line.split()), name != "reproduce_jobs") for name, line in lines.items()]


class Commands:
    """Runs one command at a time, in its own session.

    Args:
        environment: variables in addition to those of this process.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = os.environ | environment
        self._server = subprocess.Popen(
            [sys.executable, str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=self._environment,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"
        self._started: subprocess.Popen[bytes] | None = None
        self.process = 0
        self.log = Path()

    def start(self, command: Command, folder: Path) -> None:
        """Start a command in a folder."""
        folder.mkdir(exist_ok=True)
        self.log = folder / "log.txt"
        if command.forked:
            line = {"arguments": command.arguments, "folder": str(folder), "log": str(self.log)}
            assert self._server.stdin is not None
            assert self._server.stdout is not None
            print(json.dumps(line), file=self._server.stdin, flush=True)
            self.process = int(self._server.stdout.readline())
            return
        with self.log.open("ab") as log:
            self._started = subprocess.Popen(
                [sys.executable, "-m", "ganmc_lightning", *command.arguments],
                cwd=folder,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self.process = self._started.pid

    def wait(self, seconds: float = 900) -> int | None:
        """Return the exit code of the command, or None if it still runs after some time."""
        if self._started is not None:
            try:
                status = self._started.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
            self._started = None
            return status
        output = self._server.stdout
        assert output is not None
        return int(output.readline()) if select.select([output], [], [], seconds)[0] else None

    def close(self) -> None:
        """End the server."""
        self._server.communicate()


def members(session: int) -> dict[int, str]:
    """Return the running processes of a session, with their command lines; zombies are none."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found[int(folder.name)] = line[:200]
    return found


def interrupt(session: int, number: signal.Signals, target: str) -> str:
    """Send a signal to the first process of a session, to one of its other processes, or to all.

    Returns:
        ``target``, or "first" for another process if there is none.
    """
    processes = sorted(members(session))
    others = [process for process in processes if process != session]
    chosen = {"first": [session], "all": processes, "other": others[-1:] or [session]}[target]
    for process in chosen:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue
    return "first" if chosen == [session] and target == "other" else target


def wait_for_end(session: int, seconds: float) -> dict[int, str]:
    """Wait until a session has no process; return those that remain."""
    until = time.monotonic() + seconds
    while (found := members(session)) and time.monotonic() < until:
        time.sleep(0.1)
    return found
