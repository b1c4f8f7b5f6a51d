from __future__ import annotations

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments import discovery


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """Create two roots; the first has a file with the data set and name of a file in the second."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for root, data, name, title in (
        (mine, "toy", "tiny", "my own"),
        (theirs, "toy", "tiny", "hidden"),
        (theirs, "toy", "table1", "toy table"),
        (theirs, "other", "table1", "other table"),
    ):
        (root / data).mkdir(parents=True, exist_ok=True)
        (root / data / f"{name}.experiment.yaml").write_text(f"title: {title}\n")
    (theirs / "toy" / "student.yaml").write_text("a: 1\n")
    monkeypatch.setattr(discovery, "config_roots", lambda: [mine, theirs])
    return mine, theirs


def test_by_name_and_by_data_set(roots):
    mine, theirs = roots
    assert discovery.find_experiment("tiny") == mine / "toy" / "tiny.experiment.yaml"
    assert discovery.find_experiment("other/table1") == theirs / "other" / "table1.experiment.yaml"


def test_by_file(tmp_path):
    file = tmp_path / "mine.yaml"
    with pytest.raises(ConfigurationError, match=r"mine\.yaml: file not found"):
        discovery.find_experiment(str(file))
    file.touch()
    assert discovery.find_experiment(str(file)) == file


def test_ambiguous_name_lists_the_choices(roots):
    with pytest.raises(ConfigurationError, match="expected one of: other/table1, toy/table1"):
        discovery.find_experiment("table1")


@pytest.mark.parametrize("name", ["tyni", "*", "/etc/passwd", "..", ""])
def test_unknown_name(roots, name):
    with pytest.raises(ConfigurationError, match="unknown experiment"):
        discovery.find_experiment(name)


def test_working_directory_has_precedence(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert discovery.config_roots()[0].resolve() == tmp_path / "configs"
