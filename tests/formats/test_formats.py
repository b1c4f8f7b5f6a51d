"""Files of earlier formats are read, those of newer formats are refused, and the present format does not change.

``version_<N>`` contains the run folders of a release with format N. They were written by ``ganmc reproduce
formats.experiment.yaml`` and ``ganmc predict`` in a copy of this folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganmc_lightning.cards import ClassifierResult, make_classifier_card
from ganmc_lightning.cli import main
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.run_state import FINISHED, read_run_state
from ganmc_lightning.io.format_version import FORMAT_KEY, FORMAT_VERSION
from ganmc_lightning.networks import load_generator, load_network
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.metrics_csv import read_metrics

FOLDER = Path(__file__).parent
VERSIONS = sorted(FOLDER.glob("version_*"))
PRESENT = FOLDER / f"version_{FORMAT_VERSION}"
LIGHTNING_KEYS = {"loops", "optimizer_states", "lr_schedulers", "callbacks", "pytorch-lightning_version", "state_dict"}
"""Keys of checkpoints whose contents depend on the releases of Lightning and PyTorch."""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with the data and the configurations."""
    for file in (*FOLDER.glob("*.yaml"), FOLDER / "rows.npz"):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=VERSIONS, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest, work: Path) -> Path:
    """Return a copy of the run folders of one format."""
    return Path(shutil.copytree(request.param, work / "runs"))


def fit(folder: Path, epochs: int) -> int:
    last = RunFolder(folder).last_checkpoint
    words = ["fit", "--config", folder / "config.yaml", "--trainer.default_root_dir", folder]
    return main([str(word) for word in (*words, "--trainer.max_epochs", epochs, "--ckpt_path", last)])


def read_checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return content


def keys_of(value: object, path: str = "") -> Iterator[str]:
    """Yield the path and the type of each value in nested mappings and sequences."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from keys_of(item, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        yield from sorted({line for item in value for line in keys_of(item, f"{path}[]")})
    else:
        yield f"{path}: {type(value).__name__}"


def test_the_files_of_a_run_are_read(release: Path) -> None:
    folder = RunFolder(release / "classifier")
    state, result = read_run_state(folder.state), folder.read_result()
    assert state is not None
    assert state.status == FINISHED
    assert state.environment is not None
    assert result is not None
    assert (result.steps, result.parameters) == (8, 26)
    assert {"val/accuracy", "test/accuracy"} <= result.metrics.keys()
    network = load_network(str(folder.best_checkpoint))
    statistics = read_checkpoint(folder.path, "best")["trained_on"]["statistics"]
    with np.load("rows.npz") as rows, np.load(folder.predictions) as predictions:
        scaled = (torch.from_numpy(rows["X_test"]).double() - statistics["mean"]) / statistics["std"]
        with torch.no_grad():
            expected = network(scaled.float()).softmax(dim=1)
        np.testing.assert_allclose(predictions["probabilities"], expected, rtol=1e-4, atol=1e-5)
    assert load_generator(str(RunFolder(release / "acgan").last_checkpoint)).num_classes == 2


@pytest.mark.parametrize(("stage", "epochs"), [("classifier", 3), ("acgan", 2)])
def test_a_run_is_resumed(release: Path, stage: str, epochs: int) -> None:
    folder = release / stage
    rows = read_metrics(folder / "metrics.csv")
    assert fit(folder, epochs) == 0
    assert read_checkpoint(folder)["iteration"] == 4 * epochs
    assert read_metrics(folder / "metrics.csv")[: len(rows)] == rows
    result = json.loads((folder / "result.json").read_text())
    assert result["steps"] == 4 * epochs
    assert result[FORMAT_KEY] == FORMAT_VERSION


def test_the_present_format_is_unchanged(work: Path) -> None:
    """If this fails, older releases may misread new files: increase FORMAT_VERSION, read both, add a folder."""
    assert main(["reproduce", "formats.experiment.yaml", "--out", "runs"]) == 0
    assert main(["predict", "--config", "runs/formats/classifier/seed0/config.yaml"]) == 0
    for stage in ("classifier", "acgan"):
        new, old = work / "runs" / "formats" / stage / "seed0", PRESENT / stage
        names = {file.relative_to(old).as_posix() for file in old.rglob("*") if file.is_file()}
        assert names <= {file.relative_to(new).as_posix() for file in new.rglob("*") if file.is_file()}
        for name in ("result.json", "run_state.json"):
            one, other = (json.loads((folder / name).read_text()) for folder in (new, old))
            one.get("environment", {}).update(git=None)  # a commit, or null outside a repository
            assert sorted(keys_of(one)) == sorted(keys_of(other)), name
            assert one[FORMAT_KEY] == FORMAT_VERSION
        one, other = (read_checkpoint(folder) for folder in (new, old))
        assert one.keys() == other.keys()
        for key in one.keys() - LIGHTNING_KEYS:
            assert list(keys_of(one[key], key)) == list(keys_of(other[key], key))
        assert one["state_dict"].keys() == other["state_dict"].keys()
        assert one[FORMAT_KEY] == FORMAT_VERSION
    with np.load(work / "runs/formats/classifier/seed0/predictions.npz") as one:
        with np.load(PRESENT / "classifier" / "predictions.npz") as other:
            assert {name: one[name].dtype for name in one} == {name: other[name].dtype for name in other}
        assert one[FORMAT_KEY] == FORMAT_VERSION


def test_a_card_contains_the_version() -> None:
    labels = torch.arange(8) % 2
    card = make_classifier_card([ClassifierResult("small", "student", torch.eye(2)[labels], 2)], labels)
    assert card.to_dict()[FORMAT_KEY] == FORMAT_VERSION


def set_version(file: Path, version: object) -> None:
    if file.suffix == ".json":
        file.write_text(json.dumps({**json.loads(file.read_text()), FORMAT_KEY: version, "new": {"field": 1}}))
    else:
        content = torch.load(file, weights_only=True)
        torch.save({**content, FORMAT_KEY: version}, file)


def test_a_newer_format_is_refused_in_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reproduce = ["reproduce", "formats.experiment.yaml", "--quick", "--out", "runs"]
    assert main(reproduce) == 0
    folder = work / "runs" / "formats" / "classifier" / "seed0"
    for name in ("checkpoints/last.ckpt", "result.json", "run_state.json"):
        content = (folder / name).read_bytes()
        set_version(folder / name, FORMAT_VERSION + 1)
        capsys.readouterr()
        assert (fit(folder, 3) if name.endswith(".ckpt") else main(reproduce)) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{name}: format_version: got {FORMAT_VERSION + 1}, expected at most {FORMAT_VERSION}; upgrade" in error
        (folder / name).write_bytes(content)
    assert main(reproduce) == 0
    assert [path.name for path in folder.parent.iterdir()] == ["seed0"]  # nothing was archived as outdated


def test_a_newer_checkpoint_is_refused_as_a_network(work: Path) -> None:
    path = shutil.copy(PRESENT / "classifier" / "checkpoints" / "best.ckpt", work)
    set_version(Path(path), FORMAT_VERSION + 1)
    for submodule in (None, "network"):
        with pytest.raises(ConfigurationError, match=r"best\.ckpt: format_version: got .*; upgrade ganmc-lightning"):
            load_network(str(path), submodule)


def test_a_damaged_version(work: Path) -> None:
    path = Path(shutil.copy(PRESENT / "classifier" / "result.json", work))
    set_version(path, "one")
    with pytest.raises(ConfigurationError, match=r"format_version: got 'one', expected a whole number"):
        RunFolder(work).read_result()
