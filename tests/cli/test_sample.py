from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ganmc_lightning.batch import DataSpec, Statistics
from ganmc_lightning.cli import main, sample
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.schema import Field, TableSchema
from ganmc_lightning.io.atomic import temporary_path
from ganmc_lightning.io.samples import read_folder_samples, read_npz_samples
from ganmc_lightning.networks import ACGANGenerator, TabularGenerator
from ganmc_lightning.networks.recipe_metadata import encode_recipe


def save(generator, recipe, path):
    weights = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": {"generator": recipe}}, path)
    return str(path)


@pytest.fixture
def images(tmp_path):
    arguments = {"image_size": 8, "channels": 1, "num_classes": 3, "latent_dim": 4, "width": 2}
    recipe = {"class_path": "ganmc_lightning.networks.ACGANGenerator", "init_args": arguments}
    return save(ACGANGenerator(**arguments), recipe, tmp_path / "gan.ckpt")


@pytest.fixture
def rows(tmp_path):
    arguments = {"num_features": 5, "num_classes": 2}
    recipe = {"class_path": "ganmc_lightning.networks.TabularGenerator", "init_args": arguments}
    return save(TabularGenerator(**arguments), recipe, tmp_path / "rows.ckpt")


def test_npz_has_equal_class_shares_and_is_reproducible(images, tmp_path):
    for name in ("a.npz", "b.npz"):
        assert main(["sample", images, "--num-samples", "7", "--out", str(tmp_path / name)]) == 0
    with np.load(tmp_path / "a.npz") as first, np.load(tmp_path / "b.npz") as second:
        assert first["images"].shape == (7, 8, 8, 1)
        assert first["images"].dtype == np.uint8
        assert np.bincount(first["labels"]).tolist() == [3, 2, 2]
        assert (first["images"] == second["images"]).all()


def test_another_seed_gives_other_samples(images, tmp_path):
    for seed in ("0", "1"):
        assert (
            main(["sample", images, "--num-samples", "3", "--seed", seed, "--out", str(tmp_path / f"{seed}.npz")]) == 0
        )
    with np.load(tmp_path / "0.npz") as first, np.load(tmp_path / "1.npz") as second:
        assert (first["images"] != second["images"]).any()


def test_a_folder_reads_back_as_a_synthesizer_would_read_it(images, tmp_path):
    assert main(["sample", images, "--num-samples", "6", "--out", str(tmp_path / "out")]) == 0
    assert sorted(folder.name for folder in (tmp_path / "out").iterdir()) == ["000", "001", "002"]
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 6
    assert main(["sample", images, "--num-samples", "6", "--out", str(tmp_path / "out.npz")]) == 0
    expected = read_npz_samples(tmp_path / "out.npz")
    assert torch.equal(read_folder_samples(tmp_path / "out", (1, 8, 8)), expected)
    assert len(expected.unique()) > 10


def test_one_picture(images, tmp_path):
    assert main(["sample", images, "--num-samples", "9", "--out", str(tmp_path / "grid.png")]) == 0
    with Image.open(tmp_path / "grid.png") as picture:
        width, height = picture.size
    assert width == height >= 480


def multichannel(path, channels):
    arguments = {"image_size": 8, "channels": channels, "num_classes": 3, "latent_dim": 4, "width": 2}
    recipe = {"class_path": "ganmc_lightning.networks.ACGANGenerator", "init_args": arguments}
    return save(ACGANGenerator(**arguments), recipe, path)


@pytest.mark.parametrize("channels", [2, 4])
def test_images_of_other_channels(tmp_path, channels):
    path = multichannel(tmp_path / "gan.ckpt", channels)
    for name in ("grid.png", "out", "out.npz"):
        assert main(["sample", path, "--num-samples", "9", "--out", str(tmp_path / name)]) == 0
    images = np.load(tmp_path / "out.npz")["images"]
    files = sorted((tmp_path / "out").glob("*/*.png"))
    assert np.array_equal(np.stack([np.asarray(Image.open(file)) for file in files]), images)
    assert np.asarray(Image.open(tmp_path / "grid.png")).shape[2] == channels


def test_more_channels_than_a_picture_has(tmp_path, capsys):
    path = multichannel(tmp_path / "gan.ckpt", 5)
    for name in ("out.png", "out", "out.csv"):
        assert main(["sample", path, "--num-samples", "9", "--out", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"ganmc: --out: got {tmp_path / name}, expected out.npz: {path} generates images of 5 ")
        assert error.count("\n") == 1
    assert main(["sample", path, "--num-samples", "9", "--out", str(tmp_path / "out.npz")]) == 0
    assert np.load(tmp_path / "out.npz")["images"].shape == (9, 8, 8, 5)


def test_rows_without_a_scaler_are_written_as_scaled(rows, tmp_path, capsys):
    assert main(["sample", rows, "--num-samples", "4", "--out", str(tmp_path / "rows.npz")]) == 0
    assert "X_scaled: scaled units" in capsys.readouterr().out
    with np.load(tmp_path / "rows.npz") as arrays:
        assert set(arrays) == {"X_scaled", "labels"}
        assert arrays["X_scaled"].shape == (4, 5)
    for name, words in (("rows.png", "rows.csv"), ("rows.csv", "contains no scaler of a table")):
        assert main(["sample", rows, "--out", str(tmp_path / name)]) == 2
        assert words in capsys.readouterr().err
        assert not (tmp_path / name).exists()


TABLE = torch.tensor([[18.0, 0.25, 1, 0, 0], [70.0, 9.75, 0, 1, 1], [33.0, 3.5, 1, 0, 1]], dtype=torch.float64)
FIELDS = (
    Field("age"),
    Field("income"),
    Field("town", ("Bonn, Rhein", "Ulm"), one_hot=True),
    Field("kin", ("no", "yes")),
)


@pytest.fixture(params=[False, True], ids=["z-scores", "normal scores"])
def table(rows, tmp_path, request):
    """A checkpoint of rows with the scaler and the columns of its table."""
    checkpoint = torch.load(rows, weights_only=True)
    schema = TableSchema(FIELDS, "bought", ("never", "often"))
    scaler = RowScaler.fit(TABLE, request.param, schema.one_hot_blocks)
    state = {"step": 3, "scaler": scaler.state_dict(), "schema": schema.state_dict()}
    torch.save({**checkpoint, "GANAugmentedDataModule": state}, rows)
    return rows, scaler


def test_rows_come_in_the_units_of_the_table(table, tmp_path, capsys):
    path, scaler = table
    assert main(["sample", path, "--num-samples", "50", "--out", str(tmp_path / "rows.npz")]) == 0
    assert "X in the units of the table" in capsys.readouterr().out
    with np.load(tmp_path / "rows.npz") as arrays:
        X, scaled = arrays["X"], arrays["X_scaled"]
        assert arrays["feature_names"].tolist() == ["age", "income", "town=Bonn, Rhein", "town=Ulm", "kin"]
        assert arrays["class_names"].tolist() == ["never", "often"]
        assert np.bincount(arrays["labels"]).tolist() == [25, 25]
    np.testing.assert_array_equal(X, scaler.inverse_transform(torch.from_numpy(scaled)).numpy())
    assert set(X[:, 0]) <= {18.0, 33.0, 70.0}  # a column of few values
    assert (X[:, 2] + X[:, 3] == 1).all()


def test_a_csv_file_reads_back_as_the_table_did(table, tmp_path, capsys):
    path, _ = table
    for name in ("rows.csv", "rows.npz"):
        assert main(["sample", path, "--num-samples", "50", "--out", str(tmp_path / name)]) == 0
    assert "categories decoded: age, income, town, kin, bought" in capsys.readouterr().out
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        header, *cells = csv.reader(file)
    assert header == ["age", "income", "town", "kin", "bought"]
    with np.load(tmp_path / "rows.npz") as arrays:
        for row, written, label in zip(arrays["X"], cells, arrays["labels"], strict=True):
            assert written[0] == str(int(row[0]))
            assert float(written[1]) == row[1]
            assert written[2:] == [
                ("Bonn, Rhein", "Ulm")[int(row[3])],
                ("no", "yes")[int(row[4])],
                ("never", "often")[label],
            ]


def test_images_are_no_csv(images, tmp_path, capsys):
    assert main(["sample", images, "--out", str(tmp_path / "a.csv")]) == 2
    assert "expected a.npz, a.png or a folder" in capsys.readouterr().err
    assert main(["sample", images, "--num-samples", "2", "--out", str(tmp_path / "A.NPZ")]) == 0
    assert (tmp_path / "A.NPZ").is_file()


def test_a_submodule_of_the_checkpoint(images, tmp_path, capsys):
    for name in (images, f"{images}:generator"):
        assert main(["sample", name, "--num-samples", "2", "--out", str(tmp_path / f"{len(name)}.npz")]) == 0
    first, second = ((tmp_path / f"{len(name)}.npz").read_bytes() for name in (images, f"{images}:generator"))
    assert first == second
    assert main(["sample", f"{images}:student", "--out", str(tmp_path / "new.npz")]) == 2
    assert "student" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-samples", "0", "--out", "new.npz"], "--num-samples"),
        (["--seed", "99999999999999999999", "--out", "new.npz"], "--seed: got 99999999999999999999, expected 0 to"),
        (["--num-samples", "2", "--out", "there.npz"], "already"),
        (["--num-samples", "2", "--out", "there.npz/below.npz"], "cannot write"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(images, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.npz").write_bytes(b"mine")
    assert main(["sample", images, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert (tmp_path / "there.npz").read_bytes() == b"mine"
    assert not (tmp_path / "new.npz").exists()


def test_an_existing_file_is_replaced_on_request(images, tmp_path):
    file = tmp_path / "there.npz"
    file.write_bytes(b"old")
    assert main(["sample", images, "--num-samples", "2", "--out", str(file), "--overwrite"]) == 0
    assert len(np.load(file)["images"]) == 2


@pytest.mark.parametrize(
    ("value", "message"), [(float("nan"), "got NaN or infinite samples"), (9.0, "got images in [9, 9]")]
)
def test_samples_of_a_damaged_generator_are_refused(images, tmp_path, capsys, monkeypatch, value, message):
    forward = ACGANGenerator.forward
    monkeypatch.setattr(ACGANGenerator, "forward", lambda *inputs: forward(*inputs).fill_(value))
    assert main(["sample", images, "--out", str(tmp_path / "new.npz")]) == 2
    assert capsys.readouterr().err.startswith(f"ganmc: {images}: {message}")
    assert not (tmp_path / "new.npz").exists()


@pytest.fixture
def exported(tmp_path):
    """A generator of rows as a .safetensors file, which has statistics but no valid values and no categories."""
    generator, recipe = TabularGenerator(5, 2), {"class_path": "ganmc_lightning.networks.TabularGenerator"}
    spec = DataSpec((5,), 2, statistics=Statistics(torch.arange(5.0).double(), torch.full((5,), 2.0).double()))
    metadata = encode_recipe({**recipe, "init_args": {"num_features": 5, "num_classes": 2}}, spec)
    save_file(generator.state_dict(), tmp_path / "gan.safetensors", metadata)
    return tmp_path / "gan.safetensors"


def test_rows_of_an_exported_generator_are_written_as_scaled(exported, tmp_path, capsys, monkeypatch):
    assert main(["sample", str(exported), "--num-samples", "4", "--out", str(tmp_path / "rows.npz")]) == 0
    assert "X_scaled: scaled units of the network" in capsys.readouterr().out
    with np.load(tmp_path / "rows.npz") as arrays:
        assert set(arrays) == {"X_scaled", "X_scaled_mean", "X_scaled_std", "labels"}
        assert arrays["X_scaled_mean"].tolist() == [0, 1, 2, 3, 4]
    monkeypatch.setattr(sample, "generate", None)  # refused before
    assert main(["sample", str(exported), "--out", str(tmp_path / "rows.csv")]) == 2
    assert "expected rows.npz, because" in capsys.readouterr().err


DAMAGES = {
    "no mean": lambda state: state["scaler"].pop("mean"),
    "mean of no tensor": lambda state: state["scaler"].update(mean=3),
    "mean of other length": lambda state: state["scaler"].update(mean=torch.zeros(1, dtype=torch.float64)),
    "mean of NaN": lambda state: state["scaler"]["mean"].fill_(torch.nan),
    "quantiles of too few columns": lambda state: state["scaler"].update(quantiles=(torch.zeros(2, 2),)),
    "blocks outside": lambda state: state["scaler"]["columns"].update(one_hot_blocks=((7, 9),)),
    "scaler of no mapping": lambda state: state.update(scaler=[1]),
    "schema without label": lambda state: state["schema"].pop("label"),
    "schema of too few columns": lambda state: state["schema"]["fields"].pop(),
    "too few values": lambda state: state["schema"]["fields"].__setitem__(3, ("kin", ("no",), False)),
    "too few classes": lambda state: state["schema"].update(classes=("never",)),
    "state of no mapping": None,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_tables_are_one_line(table, tmp_path, capsys, damage):
    path, _ = table
    checkpoint = torch.load(path, weights_only=True)
    if damage is None:
        checkpoint["GANAugmentedDataModule"] = 3
    else:
        damage(checkpoint["GANAugmentedDataModule"])
    torch.save(checkpoint, path)
    assert main(["sample", path, "--num-samples", "2", "--out", str(tmp_path / "rows.csv")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ganmc: {path}: 'GANAugmentedDataModule' is damaged (")
    assert error.count("\n") == 1
    assert not (tmp_path / "rows.csv").exists()


def test_a_scaler_of_another_number_of_columns(table, tmp_path, capsys):
    path, _ = table
    checkpoint = torch.load(path, weights_only=True)
    scaler = RowScaler.fit(TABLE[:, :2])
    checkpoint["GANAugmentedDataModule"] = {"scaler": scaler.state_dict(), "schema": None}
    torch.save(checkpoint, path)
    assert main(["sample", path, "--num-samples", "2", "--out", str(tmp_path / "rows.npz")]) == 2
    assert "is damaged (ValueError: got a scaler of 2 columns, expected 5" in capsys.readouterr().err


def test_no_incomplete_folder_remains(images, tmp_path, monkeypatch):
    """Neither after Ctrl-C, nor that of an earlier process with the number of this one."""
    out = tmp_path / "new"

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", interrupt)
        assert main(["sample", images, "--num-samples", "3", "--out", str(out)]) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["gan.ckpt"]
    (temporary_path(out) / "000").mkdir(parents=True)
    (temporary_path(out) / "000" / "old.png").touch()
    assert main(["sample", images, "--num-samples", "3", "--out", str(out)]) == 0
    assert len(list(out.glob("*/*.png"))) == 3
