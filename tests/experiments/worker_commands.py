"""Command lines for worker processes, which import this module; as a script, an experiment to interrupt."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from ganmc_lightning.exceptions import Terminated
from ganmc_lightning.experiments.fingerprint import Fingerprint
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.runner import describe_failure
from ganmc_lightning.experiments.scheduling import run_stages
from ganmc_lightning.experiments.workers import WorkerPool
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.signals import sigterm_raises


def fake(argv: list[str], exit_codes: dict[str, int] | None = None) -> int:
    """Write the files of `fit` and `test`, as the fixture `fake` does."""
    from conftest import FakeCommand

    return FakeCommand(exit_codes=exit_codes or {})(argv)


def print_and_fail(argv: list[str]) -> int:
    print("output of the stage")
    return 1


def kill_worker(argv: list[str]) -> int:
    signal.raise_signal(signal.SIGKILL)
    return 0


def stop_this_process() -> None:
    signal.raise_signal(signal.SIGTERM)


def kill_once(argv: list[str], stage: str, number: int = signal.SIGKILL) -> int:
    """Kill this process in the first `fit` of a stage, or send it another signal."""
    from conftest import FakeCommand

    folder = FakeCommand._folder(argv)
    if folder.parent.name == stage and not (folder / "killed").exists():
        (folder / "killed").touch()
        signal.raise_signal(number)
    return fake(argv)


def lose_gpu(argv: list[str], stage: str) -> int:
    """Fail the runs of this process from a stage on, as an error of a kernel does; without importing PyTorch."""
    from conftest import FakeCommand

    def fail() -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    cuda = SimpleNamespace(is_initialized=lambda: True, synchronize=fail, empty_cache=fail)
    if FakeCommand._folder(argv).parent.name == stage:
        sys.modules["torch"] = SimpleNamespace(cuda=cuda)
    if "torch" in sys.modules:
        print("ganmc fit: error: CUDA error")
        return 1
    return fake(argv)


def wait_and_save(argv: list[str]) -> int:
    """Write the id of this process, wait, and save a file when interrupted."""
    folder = Path(argv[1])
    (folder / "process").write_text(str(os.getpid()))
    try:
        for _ in range(3000):
            time.sleep(0.1)  # Ray interrupts the next instruction of Python, not a call
    except (KeyboardInterrupt, Terminated):
        (folder / "saved").touch()
        raise
    return 0


class Recorder:
    """Progress that records events and prints failures."""

    def __init__(self) -> None:
        self.started, self.outcomes = [], {}

    def on_archive(self, run, differences):
        pass

    def on_start(self, run):
        self.started.append(run.id)

    def on_end(self, run, outcome):
        self.outcomes[run.id] = outcome
        if outcome.code:
            print(describe_failure(run, outcome), file=sys.stderr)


def waiting_runs(out: Path) -> list[PlannedRun]:
    """Return two runs for `wait_and_save`."""
    return [
        PlannedRun(name, 0, RunFolder(out / name), Fingerprint({}, "", {}), {}, ("forest", str(out / name)), None)
        for name in ("a", "b")
    ]


def main(out: Path) -> int:
    """Run two stages in two workers, until a signal ends them."""
    runs = waiting_runs(out)
    with sigterm_raises():
        outcomes = run_stages(runs, wait_and_save, Recorder(), WorkerPool(2), jobs=2)
    return max(outcome.code for outcome in outcomes.values())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
