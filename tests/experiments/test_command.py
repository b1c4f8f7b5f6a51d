from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from ganmc_lightning import cli
from ganmc_lightning.cli.imports import add_import_argument
from ganmc_lightning.cli.reproduce import run
from ganmc_lightning.cli.reproduce_arguments import add_arguments, validate_arguments
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments import reproduce


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


DEFAULTS = {
    **{"seeds": None, "stages": None, "quick": False, "jobs": None, "on": None, "resources": {}},
    **{"keep_going": False, "accept_older_code": False, "wandb_project": None},
}
OPTIONS = {
    ("--seeds", "3,1"): {"seeds": (3, 1)},
    ("--stages", "gan, alone"): {"stages": ["gan", "alone"]},
    ("--quick",): {"quick": True},
    ("--jobs", "4"): {"jobs": 4},
    ("--on", "ray"): {"on": "ray"},
    ("--resources", "num_gpus=0.5", "a=b"): {"resources": {"num_gpus": 0.5, "a": "b"}},
    ("--keep-going",): {"keep_going": True},
    ("--accept-older-code",): {"accept_older_code": True},
    ("--wandb", "project"): {"wandb_project": "project"},
}


@pytest.mark.parametrize("words", [(), *OPTIONS, ("--out", "there", *(word for words in OPTIONS for word in words))])
def test_values_of_the_options_are_passed(experiment_file, monkeypatch, words):
    calls = []

    def record(*positional, **options):
        calls.append((positional, options))
        return 5

    monkeypatch.setattr(reproduce, "reproduce", record)
    assert cli.main(["reproduce", str(experiment_file), *words]) == 5
    (((file, out), options),) = calls
    assert (file, out) == (experiment_file, Path("there" if "--out" in words else "runs"))
    assert options.pop("command") == shlex.join(["ganmc", "reproduce", str(experiment_file), *words])
    assert options.pop("run_command").args == ([],)
    assert isinstance(options.pop("console"), Console)
    expected = {name: value for key in OPTIONS if set(key) <= set(words) for name, value in OPTIONS[key].items()}
    assert options == {**DEFAULTS, **expected}


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
