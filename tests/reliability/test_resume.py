"""Campaign: commands that are interrupted, up to three times each, end like uninterrupted ones, bit for bit.

Each command runs in a forked process, so that signals, exit codes and lost state are those of a real command.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

sys.path.insert(0, str(Path(__file__).parent))
from kill_results import leaves

from ganmc_lightning.cli import main, training
from ganmc_lightning.cli.callbacks import InterruptHandler
from ganmc_lightning.modules import CompressionModule
from ganmc_lightning.tabular.export import save_skops

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "configs" / "digits"
EPOCHS = 4
SYNTHESIZER = "--data.synthesizer.init_args"
POOL = [f"{SYNTHESIZER}.folder=null", f"{SYNTHESIZER}.refresh=0.25", f"{SYNTHESIZER}.size=500"]
GENERATOR = "runs/digits/acgan/seed0/checkpoints/best.ckpt"
KINDS: dict[str, tuple[list[str], list[str]]] = {
    "classifier": (["student.yaml"], []),
    "distillation": (["distillation.yaml"], []),
    "jitter": (["distillation.yaml", "jitter_stream.yaml"], []),
    "pool": (["distillation.yaml", "pool_stream.yaml"], [*POOL, "--data.cache_logits=true"]),
    "shared_pool": (["distillation.yaml", "pool_stream.yaml"], []),
    "anc": (["anc.yaml"], []),
    "acgan": (["acgan.yaml"], []),
    "dcgan": (["dcgan.yaml"], []),
    "gan_compression": (
        ["gan_compression_mse.yaml"],
        [f"--model.init_args.teacher.init_args.path={GENERATOR}", "--data.dataset.init_args.size=1024"],
    ),
}
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGKILL]
EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}
FIT = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false", "--data.batch_size=128"]


class Interruption(InterruptHandler):
    """Send a signal to this process after a training step, or in the validation after it."""

    def __init__(self, iteration: int, number: int, in_validation: bool) -> None:
        super().__init__()
        self.iteration, self.number, self.in_validation = iteration, number, in_validation

    def on_train_batch_end(self, trainer: Trainer, pl_module: CompressionModule, *_: Any) -> None:
        if pl_module.iteration == self.iteration and not self.in_validation:
            os.kill(os.getpid(), self.number)

    def on_validation_batch_start(self, trainer: Trainer, pl_module: CompressionModule, *_: Any) -> None:
        if pl_module.iteration == self.iteration and self.in_validation:
            os.kill(os.getpid(), self.number)


def run(arguments: Sequence[object], log: Path, interruption: Interruption | None = None) -> int:
    """Start a command in a forked process; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setpgid(0, 0)
        with log.open("a") as file:
            sys.stdout = sys.stderr = file
            if interruption is not None:
                training.InterruptHandler = lambda: interruption  # type: ignore[assignment,misc]
            try:
                code = main([str(word) for word in arguments])
            except BaseException:
                traceback.print_exc()
    finally:
        os._exit(code)


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def plain(value: Any, folder: Path) -> Any:
    """Return a checkpoint's content without training time, and without its folder in paths."""
    if isinstance(value, torch.Tensor):
        return (value.dtype, tuple(value.shape), value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    if isinstance(value, dict):
        items = ((plain(key, folder), item) for key, item in value.items() if key != "train_seconds")
        return {key: plain(item, folder) for key, item in items}
    if isinstance(value, list | tuple):
        return [plain(item, folder) for item in value]
    return value.replace(str(folder), "") if isinstance(value, str) else value


def differences(whole: Path, parts: Path, roots: tuple[Path, Path] | None = None) -> list[str]:
    """Compare two run folders: checkpoints without the paths of their root folders, metrics.csv, result.json."""
    found, roots = [], roots or (whole, parts)
    for name in ("last", "best"):
        one, other = (
            plain(torch.load(path / "checkpoints" / f"{name}.ckpt", weights_only=True), root)
            for path, root in zip((whole, parts), roots, strict=True)
        )
        found += [f"{name}.ckpt: {key}" for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
    rows = []
    for path in (whole, parts):
        with (path / "metrics.csv").open(newline="") as file:
            rows.append(list(csv.DictReader(file)))
    found += ["metrics.csv"] if rows[0] != rows[1] else []
    results = [json.loads((path / "result.json").read_text()) for path in (whole, parts)]
    ignored = {"train_seconds", "command"}
    return found + [f"result.json: {key}" for key in results[0].keys() - ignored if results[0][key] != results[1][key]]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a working folder with a teacher and an AC-GAN."""
    folder = tmp_path_factory.mktemp("resume")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for name in ("teacher", "acgan"):
            short = ["--trainer.max_epochs=2", "--trainer.check_val_every_n_epoch=2", *FIT]
            assert exit_code(run(["fit", "--config", DIGITS / f"{name}.yaml", *short], folder / "log.txt")) == 0
    finally:
        os.chdir(before)
    return folder


def fit(kind: str, every: int, folder: Path, epochs: int) -> list[object]:
    configs, overrides = KINDS[kind]
    words: list[object] = ["fit"]
    for config in configs:
        words += ["--config", DIGITS / config]
    words += [*FIT, *overrides, f"--trainer.default_root_dir={folder}", f"--trainer.max_epochs={epochs}"]
    words += [f"--trainer.check_val_every_n_epoch={every}", "--checkpoint.every_n_train_steps=5"]
    last = folder / "checkpoints" / "last.ckpt"
    return [*words, *(["--ckpt_path", last] if last.is_file() else [])]


def test_fit(
    work: Path,
    cases: Callable[[int], int],
    record_figures: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(work)
    log, wrong, counts, kinds = work / "log.txt", list[str](), Counter[str](), Counter[str]()
    for case in range(cases(60)):
        draw = random.Random(case)
        kind, every = list(KINDS)[case % len(KINDS)], draw.choice([1, 2])
        whole, parts = work / "whole" / f"{kind}{every}", work / "parts" / str(case)
        if not (whole / "result.json").exists():
            assert exit_code(run(fit(kind, every, whole, EPOCHS), log)) == 0, log.read_text()[-2000:]
        steps, endings = json.loads((whole / "result.json").read_text())["steps"] // EPOCHS, []
        for position in sorted(draw.sample(range(1, EPOCHS * steps), draw.randint(1, 3))):
            if draw.random() < 0.25:  # complete epochs instead of a signal
                epochs = -(-position // (steps * every)) * every
                code, expected = exit_code(run(fit(kind, every, parts, epochs), log)), 0
                endings.append("epochs")
            else:
                number = draw.choice(SIGNALS)
                last_of_epoch = position % (steps * every) == 0
                interruption = Interruption(position, number, last_of_epoch)
                code, expected = exit_code(run(fit(kind, every, parts, EPOCHS), log, interruption)), EXIT_CODES[number]
                endings.append(number.name if code else "ended before")
            if code not in (expected, 0):  # 0: the position was passed before
                wrong.append(f"case {case} ({kind}): exit code {code}, expected {expected}")
            if code == 0 and (expected != 0 or epochs == EPOCHS):
                break  # the run is finished
        else:
            code = exit_code(run(fit(kind, every, parts, EPOCHS), log))
        final = code
        found = differences(whole, parts) if final == 0 else [f"exit code {final}"]
        wrong += [f"case {case} ({kind}, {', '.join(endings)}): {text}" for text in found]
        counts.update(endings)
        kinds[kind] += 1
        shutil.rmtree(parts)
    assert sum(counts[number.name] for number in SIGNALS) >= counts["ended before"]
    record_figures("resume_fit", runs=dict(kinds), interruptions=dict(counts), differences=wrong)
    assert not wrong


def interrupt_after(child: int, seconds: float, number: int) -> int:
    """Send a signal to the process group of a command after some time; return its exit code, 0 if it ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    (os.killpg if number == signal.SIGKILL else os.kill)(child, number)
    return exit_code(child)


def commands(work: Path) -> dict[str, Callable[[Path], list[object]]]:
    """Return functions from an output folder to a command line that is resumed by repeating it."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    pd.concat([X, y], axis=1).to_csv(work / "rows.csv", index=False)
    save_skops(RandomForestClassifier(60, random_state=0).fit(X, y), work / "forest.skops")
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 3
    images = rng.integers(0, 60, (600, 8, 8, 1))
    for label in range(3):
        images[labels == label, :, 3 * label : 3 * label + 2] += 150
    images = images.astype(np.uint8)
    np.savez(
        work / "bars.npz",
        **{"train_images": images[:480], "train_labels": labels[:480]},
        **{"test_images": images[480:], "test_labels": labels[480:]},
    )
    (work / "teacher.yaml").write_text(
        "data: {dataset: {class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {path: bars.npz}}}\n"
        "model: {class_path: ganmc_lightning.modules.ClassifierModule, init_args: {network: {class_path: "
        "ganmc_lightning.networks.MLPClassifier, init_args: {in_features: 64, num_classes: 3, hidden: [64]}}}}\n"
    )
    teacher = ["fit", "--config", "teacher.yaml", "--trainer.max_epochs=20", "--trainer.default_root_dir=bars", *FIT]
    assert exit_code(run([*teacher, "--data.batch_size=32"], work / "log.txt")) == 0
    factory, arguments = "ganmc_lightning.networks:MLPClassifier", '{"in_features": 64, "hidden": [4]}'
    images_command = ["compress", "bars.npz", "--teacher", "bars/checkpoints/best.ckpt", "--student", factory]
    images_command += ["--student-args", arguments, "--epochs", "60", "--batch-size", "16", "--no-flip", "--baseline"]
    table = ["compress", "forest.skops", "rows.csv", "--target", "target", "--students", "tree", "--max-nodes", "31"]
    forest = ["forest", "--config", ROOT / "configs/breast_cancer/forest.yaml", "--checkpoints.gan", "null"]
    reproduce = ["reproduce", DIGITS / "digits.experiment.yaml", "--quick"]
    return {
        "forest": lambda out: [*forest, "--n-jobs", "1", "--out", out],
        "compress_images": lambda out: [*images_command, "--format", "safetensors", "--out", out],
        "compress_table": lambda out: [*table, "--time", "600", "--out", out],
        "reproduce_jobs_2": lambda out: [*reproduce, "--seeds", "0,1", "--jobs", "2", "--out", out],
    }


def test_commands(
    work: Path,
    cases: Callable[[int], int],
    record_figures: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compare ``result.json`` and, of trainings, checkpoints."""
    monkeypatch.chdir(work)
    monkeypatch.setattr("ganmc_lightning.compression.compress.candidate_precisions", lambda: ("32-true",))
    log, wrong, counts, durations = work / "log.txt", list[str](), Counter[str](), dict[str, float]()
    made = commands(work)
    for case in range(max(len(made), cases(60) // 5)):
        draw = random.Random(1000 + case)
        name = list(made)[case % len(made)]
        whole, parts = work / "commands" / name, work / "commands" / f"{name}{case}"
        if name not in durations:
            started = time.monotonic()
            assert exit_code(run(made[name](whole), log)) == 0, log.read_text()[-2000:]
            durations[name] = time.monotonic() - started
        for _ in range(draw.randint(1, 2)):
            number = draw.choice(SIGNALS)
            code = interrupt_after(run(made[name](parts), log), draw.uniform(0.2, 0.9) * durations[name], number)
            counts[f"{name} {number.name}" if code else f"{name} ended before"] += 1
        final = exit_code(run(made[name](parts), log))
        if final:
            wrong.append(f"case {case} ({name}): exit code {final}")
            continue
        for result in whole.rglob("result.json"):
            files = (result, parts / result.relative_to(whole))
            one, other = (dict(leaves(json.loads(file.read_text()))) for file in files)
            keys = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
            wrong += [f"case {case} ({name}): {result.relative_to(whole)}: {key}" for key in keys]
        for last in whole.rglob("last.ckpt"):
            folder = last.parents[1]
            found = differences(folder, parts / folder.relative_to(whole), (whole, parts))
            wrong += [f"case {case} ({name}): {folder.relative_to(whole)}: {text}" for text in found]
        shutil.rmtree(parts)
    assert not all(name.endswith("ended before") for name in counts)
    record_figures("resume_commands", interruptions=dict(counts), differences=wrong)
    assert not wrong
