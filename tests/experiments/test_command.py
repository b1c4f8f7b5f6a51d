from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys

import pytest

from ganmc_lightning import cli
from ganmc_lightning.cli.imports import add_import_argument
from ganmc_lightning.cli.reproduce import run
from ganmc_lightning.cli.reproduce_arguments import add_arguments, validate_arguments
from ganmc_lightning.exceptions import ConfigurationError


def arguments(*argv):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    add_import_argument(parser)
    parser.set_defaults(command=shlex.join(["ganmc", "reproduce", *argv]))
    return parser.parse_args(argv)


def test_command_runs_all_stages(experiment_file, tmp_path, fake, monkeypatch, capsys):
    monkeypatch.setattr(cli, "main", fake, raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(arguments("tiny", "--seeds", "0, 5", "--out", "out dir", "--quick")) == 0
    assert (tmp_path / "out dir" / "tiny" / "teacher" / "seed5" / "run_state.json").is_file()
    text = (tmp_path / "out dir" / "tiny" / "report.md").read_text()
    assert "ganmc reproduce tiny --seeds '0, 5' --out 'out dir' --quick" in text
    assert "10/10" in capsys.readouterr().out


def test_imports_are_passed_to_every_stage_and_do_not_count(experiment_file, tmp_path, fake, monkeypatch):
    monkeypatch.setattr(cli, "main", fake, raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(arguments("tiny", "--seeds", "0", "--import", "my_project")) == 0
    assert all(call[-2:] == ["--import", "my_project"] for call in fake.calls)
    calls = len(fake.calls)
    assert run(arguments("tiny", "--seeds", "0")) == 0
    assert len(fake.calls) == calls


def test_list_of_experiments(experiment_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(arguments("--list")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(r"tiny +- +- +included +A tiny <experiment> & its report", line) for line in lines)


@pytest.mark.parametrize("seeds", ["", "a", "0,0", "1.5", "-1", "0,,1"])
def test_invalid_seeds_are_an_error(experiment_file, seeds):
    with pytest.raises(ConfigurationError, match=r"--seeds: got .*, expected distinct integers"):
        run(arguments(str(experiment_file), f"--seeds={seeds}"))


def test_seeds_out_of_range_are_an_error(experiment_file):
    with pytest.raises(ConfigurationError, match="--seeds: got 4294967296, expected 0 to 4294967295"):
        run(arguments(str(experiment_file), "--seeds=0,4294967296"))


def test_unusable_output_folder_is_an_error(experiment_file, tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(ConfigurationError, match="--out: cannot write to"):
        run(arguments(str(experiment_file), "--out", str(tmp_path / "runs")))


def test_missing_name_is_an_error():
    with pytest.raises(ConfigurationError, match="NAME-or-FILE: missing"):
        validate_arguments(arguments())


def test_experiments_import_neither_training_libraries_nor_the_command_line():
    code = (
        "import sys, ganmc_lightning.experiments.reproduce, ganmc_lightning.experiments.discovery;"
        "print([m for m in "
        "('torch', 'lightning', 'sklearn', 'matplotlib.pyplot', 'ganmc_lightning.cli') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
