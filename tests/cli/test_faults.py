"""Failures of memory, disk and device end a training with one line that names the last checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from ganmc_lightning.cli import main
from ganmc_lightning.io import atomic
from ganmc_lightning.modules import ClassifierModule

Ganmc = Callable[..., Any]

FAILURES = {
    "memory": (MemoryError("Unable to allocate 9.31 TiB for an array"), "out of memory (Unable to allocate 9.31 TiB"),
    "torch memory": (
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"),
        "out of memory ([enforce fail",
    ),
    "GPU memory": (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 G"),
        "out of memory (CUDA out of",
    ),
    "GPU": (
        RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported"),
        "the device failed (CUDA error: unspecified launch failure)",
    ),
    "disk": (OSError(28, "No space left on device", "samples/grid.png"), "samples/grid.png: No space left on device;"),
}


@pytest.fixture
def fail_in_batch(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Raise an exception in a training batch, counted from 1; an epoch has 4."""

    def set_failure(batch: int, error: BaseException) -> None:
        step = ClassifierModule.training_step

        def fail(module: Any, *arguments: Any) -> Any:
            if module.iteration == batch:
                raise error
            return step(module, *arguments)

        monkeypatch.setattr(ClassifierModule, "training_step", fail)

    return set_failure


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_names_the_last_checkpoint(
    ganmc: Ganmc,
    configs: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fail_in_batch: Callable[[int, BaseException], None],
    name: str,
) -> None:
    error, text = FAILURES[name]
    last = tmp_path / "runs" / "teacher" / "checkpoints" / "last.ckpt"

    def lost(strategy: Any) -> None:
        raise RuntimeError("CUDA error: device is gone")

    with monkeypatch.context() as patch:
        fail_in_batch(6, error)
        if name == "GPU":  # moving the network to the CPU fails as well
            patch.setattr(SingleDeviceStrategy, "teardown", lost)
        outcome = ganmc("fit", "--config", configs.teacher)
    assert outcome.status == 1
    assert outcome.err.startswith(f"ganmc: {text}")
    assert outcome.err.endswith(f"; the last good checkpoint is {last}, resume with --ckpt_path\n")
    assert outcome.err.count("\n") == 1
    assert torch.load(last, weights_only=True)["iteration"] == 4
    monkeypatch.undo()
    assert ganmc("fit", "--config", configs.teacher, "--ckpt_path", last).status == 0


def test_a_failure_before_the_first_checkpoint(
    ganmc: Ganmc, configs: Any, fail_in_batch: Callable[[int, BaseException], None]
) -> None:
    fail_in_batch(1, MemoryError())
    outcome = ganmc("fit", "--config", configs.teacher)
    assert outcome.status == 1
    assert outcome.err == "ganmc: out of memory; use smaller batches, fewer parallel processes, or more memory\n"


def test_other_errors_are_raised(
    ganmc: Ganmc, configs: Any, fail_in_batch: Callable[[int, BaseException], None]
) -> None:
    fail_in_batch(1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        ganmc("fit", "--config", configs.teacher)


@pytest.mark.parametrize("file", ["config.yaml", "metrics.csv", "best.ckpt", "last.ckpt", "result.json"])
def test_each_file_of_a_run_on_a_full_disk(
    ganmc: Ganmc, configs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    folder = tmp_path / "runs" / "teacher"
    open_path = Path.open

    def refuse(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if (path.name == file or path.name.startswith(f".{file}.")) and ("w" in mode or "a" in mode):
            raise OSError(28, "No space left on device", str(path))
        return open_path(path, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(atomic.Path, "open", refuse)
        outcome = ganmc("fit", "--config", configs.teacher)
    assert outcome.status in (1, 2)
    assert file in outcome.err
    assert "No space left on device" in outcome.err
    assert outcome.err.count("\n") == 1
    last = folder / "checkpoints" / "last.ckpt"
    assert not list(folder.rglob("*.part"))
    resume = ["--ckpt_path", last] if last.exists() else []
    assert ganmc("fit", "--config", configs.teacher, *resume).status == 0


def test_other_commands_report_failures_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, trained: Any, tmp_path: Path
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("ganmc_lightning.cli.sample.generate", fail)
    assert main(["sample", str(trained.generator_checkpoint), "--out", str(tmp_path / "x.npz")]) == 1
    assert capsys.readouterr().err.startswith("ganmc: the device failed (CUDA error: an illegal memory access was")


@pytest.mark.parametrize("command", ["sample", "profile", "evaluate", "export", "card", "fit", "test", "predict"])
def test_unwritable_outputs_are_found_before_the_work(
    ganmc: Ganmc, configs: Any, trained: Any, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "below"
    generator = str(trained.generator_checkpoint)
    arguments = {
        "sample": [generator, "--out", out / "x.npz"],
        "profile": [f"gan={generator}", "--out", out],
        "evaluate": ["real:val", "--data", "digits", "--out", out],
        "export": [trained.teacher, "--out", out],
        "card": [trained.teacher, "--out", out],
    }.get(command)
    if arguments is None:
        checkpoint = [] if command == "fit" else ["--ckpt_path", trained.teacher_checkpoint]
        arguments = ["--config", configs.teacher, *checkpoint, "--trainer.default_root_dir", out]
    outcome = ganmc(command, *arguments)
    assert outcome.status == 2
    assert ": cannot write to " in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("changed", [False, True])
def test_resuming_with_another_data_file(
    ganmc: Ganmc, configs: Any, data_root: Path, tmp_path: Path, changed: bool
) -> None:
    file = tmp_path / "tiny.npz"
    arrays = dict(np.load(data_root / "tiny.npz"))
    np.savez(file, **arrays)
    arguments = ["fit", "--config", configs.teacher, "--data.dataset.init_args.path", file]
    assert ganmc(*arguments).status == 0
    if changed:
        arrays["train_images"][:, 0, 0] //= 2
    np.savez(file, **arrays)
    resume = ["--ckpt_path", tmp_path / "runs" / "teacher" / "checkpoints" / "last.ckpt", "--trainer.max_epochs", "3"]
    context = (
        pytest.warns(UserWarning, match="last.ckpt: the training samples differ from") if changed else nullcontext()
    )
    with context:
        assert ganmc(*arguments, *resume).status == 0


def test_a_network_too_large_for_memory(ganmc: Ganmc, configs: Any) -> None:
    hidden = "--model.init_args.network.init_args.hidden=[2000000000000]"
    outcome = ganmc("fit", "--config", configs.teacher, hidden)
    assert outcome.status == 1
    assert outcome.err.startswith("ganmc: out of memory (")
    assert outcome.err.count("\n") == 1
