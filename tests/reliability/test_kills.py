"""SIGKILL, SIGTERM and Ctrl-C at random moments: the same command then ends as if undisturbed."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kill_commands import Command, Commands, interrupt, make_commands, wait_for_end, write_inputs
from kill_results import differences, finished_stages, incomplete_files, temporary_files

ENDING_SECONDS = 120.0
"""Time after which a process that still runs is an orphan; a worker saves a checkpoint first."""
GRACE_SECONDS = 5.0
"""Time after the end of the first process in which Python's resource tracker, which notices it, ends."""
EXIT_CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
TARGETS = {signal.SIGKILL: ("first", "all", "other"), signal.SIGTERM: ("first", "all"), signal.SIGINT: ("all",)}
KILLS = 3
"""Largest number of kills of one run."""


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Commands]:
    commands = Commands({"GANMC_DATA": str(tmp_path / "data"), "CUDA_VISIBLE_DEVICES": ""})
    yield commands
    commands.close()


def run_undisturbed(runner: Commands, command: Command, folder: Path) -> float:
    """Run a command to its end; return its seconds."""
    start = time.monotonic()
    runner.start(command, folder)
    status = runner.wait()
    assert status == 0, (command.name, status, runner.log.read_text()[-2000:])
    return time.monotonic() - start


def kill_once(
    runner: Commands, command: Command, folder: Path, seconds: float, random: np.random.Generator
) -> tuple[str, list[str]]:
    """Start a command and send a signal at a random moment; return the signal and what is wrong afterwards."""
    number = list(TARGETS)[random.integers(len(TARGETS))]
    target = TARGETS[number][random.integers(len(TARGETS[number]))]
    finished = finished_stages(folder)
    runner.start(command, folder)
    time.sleep(seconds * random.uniform(0.02, 0.98))
    target = interrupt(runner.process, number, target)
    status = runner.wait(ENDING_SECONDS)
    name = f"{number.name} {target}"
    wrong = []
    if status not in (0, EXIT_CODES[number], -number) and not (target == "other" and status == 1):
        wrong.append(f"exit code {status}: {runner.log.read_text()[-500:]}")
    if number != signal.SIGKILL and (left := wait_for_end(runner.process, GRACE_SECONDS)):
        wrong.append(f"orphans {left}")
    changed = [str(file) for file, at in finished.items() if not file.is_file() or file.stat().st_mtime_ns != at]
    wrong += [f"repeated: {changed}"] if changed else []
    wrong += [f"incomplete: {file}" for file in incomplete_files(folder)]
    return (name if status != 0 else "ended before"), wrong


def kill_and_resume(
    runner: Commands,
    command: Command,
    folder: Path,
    undisturbed: tuple[Path, float],
    kills: int,
    random: np.random.Generator,
) -> tuple[list[str], list[str]]:
    """Kill a command several times, then let it end; return the signals and what differs from an undisturbed one."""
    expected, seconds = undisturbed
    names, wrong, sessions = [], [], []
    for _ in range(kills):
        name, problems = kill_once(runner, command, folder, seconds, random)
        names.append(name)
        wrong += problems
        sessions.append(runner.process)
    finished = finished_stages(folder)
    runner.start(command, folder)
    status = runner.wait()
    if status != 0:
        return names, [*wrong, f"the same command ended with exit code {status}: {runner.log.read_text()[-1000:]}"]
    for session in [*sessions, runner.process]:
        if left := wait_for_end(session, ENDING_SECONDS):
            wrong.append(f"orphans {left}")
    changed = [str(file) for file, at in finished.items() if not file.is_file() or file.stat().st_mtime_ns != at]
    wrong += [f"repeated: {changed}"] if changed else []
    wrong += [f"temporary: {file}" for file in temporary_files(folder)]
    wrong += [f"incomplete: {file}" for file in incomplete_files(folder)]
    return names, wrong + differences(folder, expected)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_killed_commands_end_as_undisturbed_ones(
    tmp_path: Path, runner: Commands, cases: Callable[[int], int], record_figures: Callable[..., None]
) -> None:
    wanted, random = cases(60), np.random.default_rng(0)
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    write_inputs(inputs)
    commands = make_commands(inputs)
    undisturbed = {}
    for command in commands:
        folder = tmp_path / f"undisturbed_{command.name}"
        undisturbed[command.name] = folder, run_undisturbed(runner, command, folder)
        print(f"{command.name}: {undisturbed[command.name][1]:.1f} s undisturbed", flush=True)
        if command.name in ("fit", "fit_gan"):
            shutil.copytree(folder / "run", inputs / {"fit": "teacher", "fit_gan": "acgan"}[command.name])
    by_command: Counter[str] = Counter()
    by_signal: Counter[str] = Counter()
    wrong: list[str] = []
    runs = 0
    while by_signal.total() - by_signal["ended before"] < wanted:
        command = commands[runs % len(commands)]
        folder = tmp_path / f"killed_{runs}_{command.name}"
        kills = int(random.integers(1, KILLS + 1))
        names, problems = kill_and_resume(runner, command, folder, undisturbed[command.name], kills, random)
        by_command[command.name] += sum(name != "ended before" for name in names)
        by_signal.update(names)
        wrong += [f"{folder.name} after {', '.join(names)}: {problem}" for problem in problems]
        print(f"{folder.name}: {', '.join(names)}: {problems or 'equal'}", flush=True)
        runs += 1
        if not problems:
            shutil.rmtree(folder)
        record_figures(  # after each run, because the campaign may be stopped
            "kills",
            seed=0,
            runs=runs,
            kills=by_signal.total() - by_signal["ended before"],
            kills_by_command=dict(by_command),
            kills_by_signal=dict(by_signal),
            undisturbed_seconds={name: round(seconds, 1) for name, (_, seconds) in undisturbed.items()},
            wrong=wrong,
        )
    assert not wrong
