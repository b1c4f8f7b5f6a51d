from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ganmc_lightning.cli import main
from ganmc_lightning.networks import ACGANGenerator, TabularGenerator


def save(generator, recipe, path):
    weights = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": {"generator": recipe}}, path)
    return str(path)


@pytest.fixture
def images(tmp_path):
    arguments = {"image_size": 8, "channels": 1, "num_classes": 3, "latent_size": 4, "width": 2}
    recipe = {"class_path": "ganmc_lightning.networks.ACGANGenerator", "init_args": arguments}
    return save(ACGANGenerator(**arguments), recipe, tmp_path / "gan.ckpt")


@pytest.fixture
def rows(tmp_path):
    arguments = {"num_features": 5, "num_classes": 2}
    recipe = {"class_path": "ganmc_lightning.networks.TabularGenerator", "init_args": arguments}
    return save(TabularGenerator(**arguments), recipe, tmp_path / "rows.ckpt")


def test_npz_with_classes_in_equal_shares_and_the_same_twice(images, tmp_path):
    for name in ("a.npz", "b.npz"):
        assert main(["sample", images, "--n", "7", "--out", str(tmp_path / name)]) == 0
    with np.load(tmp_path / "a.npz") as first, np.load(tmp_path / "b.npz") as second:
        assert first["images"].shape == (7, 8, 8, 1)
        assert first["images"].dtype == np.uint8
        assert np.bincount(first["labels"]).tolist() == [3, 2, 2]
        assert (first["images"] == second["images"]).all()


def test_another_seed_gives_other_samples(images, tmp_path):
    for seed in ("0", "1"):
        assert main(["sample", images, "--n", "3", "--seed", seed, "--out", str(tmp_path / f"{seed}.npz")]) == 0
    with np.load(tmp_path / "0.npz") as first, np.load(tmp_path / "1.npz") as second:
        assert (first["images"] != second["images"]).any()


def test_a_folder_reads_back_as_a_synthesizer_would_read_it(images, tmp_path):
    assert main(["sample", images, "--n", "6", "--out", str(tmp_path / "out")]) == 0
    assert sorted(folder.name for folder in (tmp_path / "out").iterdir()) == ["000", "001", "002"]
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 6


def test_one_picture(images, tmp_path):
    assert main(["sample", images, "--n", "9", "--out", str(tmp_path / "grid.png")]) == 0
    with Image.open(tmp_path / "grid.png") as picture:
        width, height = picture.size
    assert width == height >= 480


def test_rows_go_into_an_npz_and_nowhere_else(rows, tmp_path, capsys):
    assert main(["sample", rows, "--n", "4", "--out", str(tmp_path / "rows.npz")]) == 0
    with np.load(tmp_path / "rows.npz") as arrays:
        assert arrays["X"].shape == (4, 5)
    assert main(["sample", rows, "--out", str(tmp_path / "rows.png")]) == 2
    assert "npz" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--n", "0", "--out", "new.npz"], "--n"),
        (["--n", "2", "--out", "there.npz"], "already"),
        (["--n", "2", "--out", "there.npz/below.npz"], "cannot write"),
        (["--n", "2", "--out", "new.npz", "--part", "student"], "generator"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(images, tmp_path, monkeypatch, capsys, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.npz").write_bytes(b"mine")
    assert main(["sample", images, *arguments]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert (tmp_path / "there.npz").read_bytes() == b"mine"
    assert not (tmp_path / "new.npz").exists()
