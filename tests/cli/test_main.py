"""The `ganmc` command in this process and in a shell."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ganmc_lightning
from ganmc_lightning.cli import COMMANDS, TRAINING, main

Ganmc = Callable[..., Any]


def shell(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("JSONARGPARSE_DEPRECATION_WARNINGS", None)  # unset for users
    command = [sys.executable, "-m", "ganmc_lightning", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=1200, check=False)


def test_help_names_every_command(ganmc: Ganmc) -> None:
    outcome = ganmc("--help")
    assert outcome.status == 0
    assert outcome.err == ""
    for command in (*TRAINING, *COMMANDS):
        assert f"\n    {command}" in outcome.out


def test_version(ganmc: Ganmc) -> None:
    outcome = ganmc("--version")
    assert outcome.status == 0
    assert outcome.out == f"ganmc {ganmc_lightning.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["train"], ["--bogus"]])
def test_unknown_command(ganmc: Ganmc, arguments: list[str]) -> None:
    outcome = ganmc(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


def test_help_imports_no_large_library(tmp_path: Path) -> None:
    code = (
        "import sys; from ganmc_lightning.cli import main; status = main(['--help']); "
        "heavy = {'torch', 'lightning', 'sklearn', 'matplotlib', 'wandb'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "usage: ganmc" in done.stdout


@pytest.mark.parametrize(
    ("terminal", "config", "first_line"),
    [
        (True, "empty.yaml", "ganmc: loading PyTorch and Lightning (first time: up to a minute) ..."),
        (False, "empty.yaml", "Traceback (most recent call last):"),
        (True, "missing.yaml", "ganmc: --config missing.yaml: file not found"),
    ],
)
def test_the_first_line_is_written_before_pytorch_is_imported(
    tmp_path: Path, terminal: bool, config: str, first_line: str
) -> None:
    """The import raises an exception here."""
    (tmp_path / "empty.yaml").touch()
    code = f"""if True:
        import sys
        class Finder:
            def find_spec(name, path=None, target=None):
                if name == "torch":
                    raise ImportError
        sys.meta_path.insert(0, Finder)
        sys.stderr.isatty = lambda: {terminal}
        from ganmc_lightning.cli import main
        main(["fit", "-c", "{config}"])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr.splitlines()[0] == first_line


WITHOUT_TORCH = """if True:
    import sys
    class Finder:
        def find_spec(name, path=None, target=None):
            if name in ("torch", "sklearn"):
                raise ImportError
    sys.meta_path.insert(0, Finder)
    from ganmc_lightning.cli import main
    for line in sys.stdin.read().splitlines():
        assert main(line.split()) == 2, line
"""


def test_arguments_are_validated_before_pytorch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    lines = {
        "fitt": "unknown command 'fitt', did you mean 'fit'?",
        "fit --trainer.max_epoch 5": "--trainer.max_epoch: unknown key, did you mean 'max_epochs'?",
        "test --model ganmc_lightning.modules.GANModul": "did you mean 'GANModule'?",
        "reproduce digit": "unknown experiment 'digit', did you mean 'digits'?",
        "sample": "the following arguments are required: CHECKPOINT, --out",
        "sample a.ckpt --out new.npz": "a.ckpt: checkpoint not found",
        "sample a.ckpt --out old": "--out: the folder old already exists",
        "sample a.ckpt --out new.npz --num-samples 0": "--num-samples: got 0",
        "evaluate real:test": "the following arguments are required: --data",
        "evaluate real:test --data digits --real-split all": "argument --real-split: invalid choice: 'all'",
        "evaluate real:test --data digits --seed -1": "--seed: got -1",
        "evaluate real:test --data digits --teacher a.ckpt --student s.yaml": "a.ckpt: checkpoint not found",
        "profile a.ckpt --out new": "generators: got 'a.ckpt', expected NAME=CHECKPOINT",
        "profile a=a.ckpt --out new": "a.ckpt: checkpoint not found",
        "compress a.skops t.csv --out new": "--target: missing, expected the column of t.csv to predict",
        "compress a.skops t.csv --target y --out new": "a.skops: file not found",
        "compress t.csv --teacher forest --target y --out new --max-bytes many": "--max-bytes: got 'many'",
        "reproduce": "NAME-or-FILE: missing",
        "reproduce none --jobs 0": "--jobs: got 0",
        "reproduce digits --seeds a": "--seeds: got 'a'",
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    position = -1
    for message in lines.values():
        position = done.stderr.find(message, position + 1)
        assert position >= 0, f"{message} not in {done.stderr}"


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENAMETOOLONG])
@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "closed/a.ckpt", "--out", "a.png"),
        ("sample", "gan.ckpt", "--out", "closed/a.png"),
        ("export", "closed/a.ckpt", "--out", "small"),
        ("export", "gan.ckpt", "--out", "closed/small"),
        ("evaluate", "real:val", "--data", "digits", "--out", "closed/new"),
        ("compress", "photos", "--teacher", "closed/a.ckpt", "--out", "small"),
    ],
)
def test_a_path_that_cannot_be_accessed_is_one_line(
    arguments: tuple[str, ...],
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Python before 3.14 raises these errors for other users than root."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gan.ckpt").touch()
    (tmp_path / "photos").mkdir()

    def refusing(check: Callable[..., bool]) -> Callable[..., bool]:
        def refuse(self: Path, **options: Any) -> bool:
            if "closed" in self.parts:
                raise OSError(number, os.strerror(number), str(self))
            return check(self, **options)

        return refuse

    for name in ("exists", "is_file", "is_dir"):
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name)))
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert "closed" in error
    assert os.strerror(number) in error
    assert error.count("\n") == 1


def test_an_error_without_a_path_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of a socket, a semaphore or the affinity to CPUs."""

    def fail(*_: Any) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("ganmc_lightning.cli._run_command", fail)
    with pytest.raises(PermissionError):
        main(["sample"])


def test_memory_that_runs_out_before_a_path_cannot_be_accessed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> int:
        try:
            raise MemoryError
        finally:  # cleanup
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "runs/last.ckpt.part")

    monkeypatch.setattr("ganmc_lightning.cli._run_command", fail)
    assert main(["sample"]) == 1
    assert capsys.readouterr().err.startswith("ganmc: out of memory; use smaller batches")


def test_bad_input_from_the_shell_is_one_line(configs: Any, tmp_path: Path) -> None:
    done = shell("fit", "--config", configs.teacher, "--data.p_fake", "0.5", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == ("ganmc: data.synthesizer: got none with data.p_fake 0.5, expected a synthesizer\n")


@pytest.mark.parametrize(
    ("devices", "several"),
    [
        *((1, False), ("1", False), ([0], False), (0, False), ("many", False)),
        *((2, True), ("2", True), ([0, 1], True), ("0,1", True), ("auto", True), (-1, True)),
    ],
)
def test_requests_multiple_devices(devices: int | str | list[int], several: bool) -> None:
    from ganmc_lightning.cli.training_cli import requests_multiple_devices

    assert requests_multiple_devices(devices) is several
