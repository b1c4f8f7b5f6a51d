from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganmc_lightning.experiments import discovery
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.config_types import parse_duration
from ganmc_lightning.experiments.listing import format_list, list_experiments

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("configs/*/*.experiment.yaml"))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of experiment files that is the only one, and an empty data root."""
    (tmp_path / "configs" / "toy").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(discovery, "config_roots", lambda: [tmp_path / "configs"])
    monkeypatch.setenv("GANMC_DATA", str(tmp_path / "data"))
    return tmp_path


def write(root, name, text):
    (root / "configs" / "toy" / f"{name}.experiment.yaml").write_text(text)


def test_the_shortest_is_the_first(root):
    write(root, "a", "{title: long, duration: about 2 d, device: GPU}")
    write(root, "b", "{title: unknown}")
    write(root, "c", "{title: short, duration: 90 min, device: CPU}")
    write(root, "d", "{title: shorter, duration: 1 h, device: CPU}")
    assert [line.name for line in list_experiments()] == ["d", "c", "a", "b"]
    assert list(format_list(list_experiments())) == [
        "experiment  time       device  data      title",
        "d           1 h        CPU     included  shorter",
        "c           90 min     CPU     included  short",
        "a           about 2 d  GPU     included  long",
        "b           -          -       included  unknown",
    ]


def test_state_of_the_data(root):
    write(root, "a", "{data: [one.npz, 'two*.npz']}")
    (root / "data" / "one.npz").touch()
    assert list_experiments()[0].data == "absent"
    (root / "data" / "two_64.npz").touch()
    assert list_experiments()[0].data == "present"


def test_one_file_of_data_without_a_list(root):
    write(root, "a", "data: one.npz")
    (root / "data" / "one.npz").touch()
    assert list_experiments()[0].data == "present"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "got [1], expected a mapping"),
        ("duration: 3", "duration: got 3, expected text"),
        ("duration: 3 weeks", "duration: got '3 weeks', expected a number"),
        ("device: [CPU]", "device: got ['CPU'], expected 'CPU' or 'GPU'"),
        ("data: 3", "data[0]: got 3, expected text"),
        ("data: [/abs/x.npz]", "data[0]: got '/abs/x.npz', expected a path relative to the data root"),
        ("data: .", "data[0]: got '.', expected a path relative to the data root"),
        ("data: a**", "data[0]: got 'a**', expected '**' as the whole name of a folder"),
        ("title: [1]", "title: got [1], expected text"),
    ],
)
def test_an_invalid_file_has_the_error_in_its_line(root, text, message):
    write(root, "broken", text)
    write(root, "other", "{title: other, device: null}")
    invalid, other = sorted(list_experiments())
    file = root / "configs" / "toy" / "broken.experiment.yaml"
    assert invalid[:4] == ("broken", "-", "-", "-")
    assert invalid.title.startswith(f"error: {file}: {message}")
    assert "\n" not in invalid.title
    assert other == ("other", "-", "-", "included", "other")


@pytest.mark.parametrize("text", ["3", "min", "3 weeks", "around 3 min", "-3 min", "3min"])
def test_invalid_durations(text):
    with pytest.raises(ValueError, match="expected a number and s, min, h or d"):
        parse_duration(text)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".experiment.yaml"))
def test_durations_are_those_of_the_committed_reports(file):
    """Durations without a complete report are marked as estimates."""
    experiment = load_experiment(file)
    report = ROOT / "docs" / "results" / experiment.name / "report.json"
    content = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else None
    if content is None or any(note.startswith("Partial report") for note in content["notes"]):
        assert experiment.duration.startswith("about ")
        return
    expected = content["seconds"] * len(experiment.seeds) / len(content["seeds"])
    assert parse_duration(experiment.duration) == pytest.approx(expected, rel=0.2)
    assert experiment.device == ("GPU" if "NVIDIA" in content["environment"]["device"] else "CPU")
