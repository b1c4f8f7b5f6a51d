"""Folder of the cached data sets: argument, environment, default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ganmc_lightning.cli.forest_config import ForestData
from ganmc_lightning.cli.tabular_study_config import StudentStudyData
from ganmc_lightning.compression.inputs import LoadedSource
from ganmc_lightning.data.datasets import DatasetSource, DatasetSplits
from ganmc_lightning.experiments import discovery
from ganmc_lightning.experiments.listing import list_experiments
from ganmc_lightning.io.data_root import data_root


def test_the_argument_then_the_environment_then_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANMC_DATA", raising=False)
    assert data_root() == Path("data")
    monkeypatch.setenv("GANMC_DATA", "~/sets")
    assert data_root() == Path.home() / "sets"
    assert data_root("~/other") == Path.home() / "other"
    assert data_root(Path("/else")) == Path("/else")


class Absent(DatasetSource):
    """Data set that is in no folder."""

    name = "absent"

    def prepare(self, root: Path) -> None:
        raise FileNotFoundError(root)

    def load(self, root: Path) -> DatasetSplits:
        raise NotImplementedError


@pytest.mark.parametrize(
    "read", [lambda: LoadedSource(Absent()), ForestData(Absent()).load, lambda: StudentStudyData(Absent()).load(0)]
)
def test_the_home_folder_is_expanded_by_readers(
    read: Callable[[], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GANMC_DATA", "~/sets")
    with pytest.raises(FileNotFoundError) as error:
        read()
    assert error.value.args == (tmp_path / "sets",)


def test_the_home_folder_is_expanded_in_the_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GANMC_DATA", "~/sets")
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "one.npz").touch()
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "a.experiment.yaml").write_text("{data: [one.npz]}")
    monkeypatch.setattr(discovery, "config_roots", lambda: [tmp_path])
    assert [line.data for line in list_experiments()] == ["present"]
