from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from ganmc_lightning.cli.sample_rows import CheckpointTable, write_rows
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.schema import TableSchema
from ganmc_lightning.evaluation import load_datamodule, open_sample_sets, samples_of_generator
from ganmc_lightning.evaluation.sources import parse_named
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Generator
from ganmc_lightning.synthesizers import StoredSynthesizer


def open_samples(text, data):
    return open_sample_sets([text], data).sets[0]


class Shade(Generator):
    """Images of one gray level per class."""

    def __init__(self, num_classes=3, sample_shape=(1, 8, 8)):
        super().__init__(latent_dim=1, num_classes=num_classes, sample_shape=sample_shape)

    def forward(self, latents, labels=None):
        shade = torch.zeros(len(latents)) if labels is None else labels / 2 - 0.5
        return shade.view(-1, *[1] * len(self.sample_shape)) + torch.zeros(len(latents), *self.sample_shape)


@pytest.mark.parametrize(
    ("text", "name", "origin"),
    [
        ("real:train", "real:train", "real:train"),
        ("real=real:train", "real", "real:train"),
        ("runs/acgan/seed2/checkpoints/best.ckpt", "acgan_seed2", "runs/acgan/seed2/checkpoints/best.ckpt"),
        ("runs/mine/checkpoints/last.ckpt", "mine", "runs/mine/checkpoints/last.ckpt"),
        ("good=a/b.npz", "good", "a/b.npz"),
        ("a/b.npz", "b", "a/b.npz"),
    ],
)
def test_names(text, name, origin):
    assert parse_named(text) == (name, origin)


def test_a_path_with_an_equals_sign_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1.npz").touch()
    assert parse_named("lr=1.npz") == ("lr=1", "lr=1.npz")


def test_real_samples_are_all_of_a_split(data):
    samples = open_samples("real:train", data)
    assert samples.real_split == "train"
    assert torch.equal(samples.sample(1000, seed=0), data.samples("train")[0])


def test_a_choice_has_no_sample_twice_and_follows_the_seed(data, tmp_path):
    images = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "fifty.npz", images=images)
    samples = open_samples(str(tmp_path / "fifty.npz"), data)
    first, again, other = (samples.sample(20, seed)[:, 0, 0, 0] for seed in (0, 0, 1))
    assert len(first.unique()) == 20
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_folder_with_or_without_classes(data, tmp_path):
    for name, gray in (("b/1.png", 3), ("a/2.png", 2), ("0.png", 1)):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), gray).save(tmp_path / "out" / name)
    samples = open_samples(str(tmp_path / "out"), data).sample(10, seed=0)
    assert samples.shape == (3, 1, 8, 8)
    assert samples.dtype == torch.uint8
    assert samples[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_hidden_folders_are_not_scored_and_skipped_files_named(data, tmp_path):
    for name, gray in ((".old/0.png", 9), ("a/.cache/0.png", 9), ("a/0.png", 1), ("b/c/0.png", 2)):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), gray).save(tmp_path / "out" / name)
    (tmp_path / "out" / "labels.csv").touch()
    with pytest.warns(UserWarning, match=r"out: skipped 1 entry that is not an image: labels.csv$"):
        samples = open_samples(str(tmp_path / "out"), data)
    assert samples.sample(10, seed=0)[:, 0, 0, 0].tolist() == [1, 2]


def test_oblong_images_from_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 9, 1), dtype=np.uint8)
    parts = {"train_images": images, "test_images": 255 - images}
    np.savez(tmp_path / "wide.npz", **parts, train_labels=np.arange(20) % 2, test_labels=np.arange(20) % 2)
    (tmp_path / "out").mkdir()
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "out" / "0.png")
    exif = Image.Exif()
    exif[0x0112] = 8  # stored on its side
    Image.fromarray(np.rot90(images[1, ..., 0], -1)).save(tmp_path / "out" / "1.png", exif=exif)
    samples = open_samples(str(tmp_path / "out"), load_datamodule(str(tmp_path / "wide.npz")))
    assert np.array_equal(samples.sample(2, seed=0)[:, 0], images[:2, ..., 0])


def test_classes_of_generated_samples_follow_the_training_labels(data):
    labels = torch.tensor([0, 0, 0, 2])
    samples = samples_of_generator(Shade(), data, labels=labels).sample(5000, seed=0)
    assert samples.dtype == torch.uint8
    shares = [(samples[:, 0, 0, 0] == gray).float().mean().item() for gray in (64, 128, 191)]
    assert shares == pytest.approx([0.75, 0, 0.25], abs=0.03)


def test_generated_samples_repeat(data):
    samples = samples_of_generator(Shade(), data)
    assert torch.equal(samples.sample(30, seed=1), samples.sample(30, seed=1))
    assert not torch.equal(samples.sample(30, seed=1), samples.sample(30, seed=2))
    assert samples_of_generator(Shade(0), data).sample(7, seed=0).shape == (7, 1, 8, 8)


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (Shade(sample_shape=(1, 4, 4)), r"shade.ckpt: got samples of shape \(1, 4, 4\)"),
        (Shade(num_classes=5), "shade.ckpt: got 5 classes, expected 3"),
    ],
)
def test_a_generator_of_other_data(data, generator, message):
    with pytest.raises(ConfigurationError, match=message):
        samples_of_generator(generator, data, origin="shade.ckpt")


def test_bad_input(data, tmp_path):
    np.savez(tmp_path / "rows.npz", X=np.zeros((4, 64)))
    np.savez(tmp_path / "other.npz", pictures=np.zeros((4, 64)))
    np.savez(tmp_path / "small.npz", images=np.zeros((4, 4, 4, 1), np.uint8))
    (tmp_path / "empty").mkdir()
    for name, size in (("large", 16), ("fine", 8)):
        (tmp_path / name).mkdir()
        Image.new("L", (size, size)).save(tmp_path / name / "0.png")
    (tmp_path / "fine" / "1.png").write_text("no image")
    (tmp_path / "ones").mkdir()
    Image.new("L", (8, 8), 1).save(tmp_path / "ones" / "0.png")
    np.savez(tmp_path / "ones.npz", images=np.ones((4, 8, 8, 1), np.uint8))
    np.savez(tmp_path / "unit.npz", images=np.linspace(0, 1, 128).reshape(2, 8, 8, 1))
    for text, message in (
        ("real:tset", "real:tset: expected one of real:train, real:val, real:test"),
        (str(tmp_path / "rows.npz"), r"rows.npz: got samples of shape \(64,\)"),
        (str(tmp_path / "other.npz"), "other.npz: got the arrays pictures, expected images"),
        (str(tmp_path / "small.npz"), r"shape \(1, 4, 4\)"),
        (str(tmp_path / "empty"), "empty: got no images"),
        (str(tmp_path / "large"), "0.png: got 16x16 pixels, expected 8x8"),
        (str(tmp_path / "fine"), "1.png: cannot be read as an image"),
        (str(tmp_path / "ones"), r"ones: got uint8 pixels in \[0, 1\], expected \[0, 255\]"),
        (str(tmp_path / "ones.npz"), r"images: got uint8 pixels in \[0, 1\], expected \[0, 255\]"),
        (str(tmp_path / "unit.npz"), r"images: got dtype float64 and values in \[0, 1\], expected uint8 pixels"),
        (str(tmp_path / "absent.ckpt"), ".*absent.ckpt: checkpoint not found"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            open_samples(text, data)


def test_rows_in_other_units_than_the_scaled_ones_are_refused(tmp_path):
    rows, labels = np.random.default_rng(0).normal(700, 30, (60, 3)), np.arange(60) % 2
    np.savez(tmp_path / "table.npz", X_train=rows, y_train=labels, X_test=rows[:20], y_test=labels[:20])
    table = load_datamodule(str(tmp_path / "table.npz"))
    np.savez(tmp_path / "made.npz", X=rows)
    with pytest.raises(ConfigurationError, match=r"made\.npz: column 0: got the median"):
        open_samples(str(tmp_path / "made.npz"), table)
    np.savez(tmp_path / "scaled.npz", X=rows, X_scaled=(rows - 700) / 30)
    drawn = open_samples(str(tmp_path / "scaled.npz"), table).sample(60, 0)
    torch.testing.assert_close(drawn, torch.from_numpy((rows - 700) / 30).float())


@pytest.mark.parametrize(
    ("value", "message"),
    [(math.nan, "got NaN or infinite samples"), (math.inf, "got NaN or infinite"), (5.0, r"got images in \[5, 5\]")],
)
def test_samples_of_a_generator_that_are_no_images(data, value, message):
    class Constant(Shade):
        def forward(self, latents, labels=None):
            return torch.full((len(latents), *self.sample_shape), value)

    with pytest.raises(ConfigurationError, match=f"generator: {message}"):
        samples_of_generator(Constant(), data).sample(3, seed=0)


@pytest.mark.parametrize("quantile_transform", [False, True])
def test_rows_of_a_generator_with_another_scale(tmp_path, quantile_transform):
    """`ganmc sample` writes the scale, so that z-scores are converted and normal scores refused."""
    rows, labels = np.random.default_rng(0).lognormal(0, 1, (80, 3)), np.arange(80) % 2
    np.savez(tmp_path / "table.npz", X_train=rows, y_train=labels, X_test=rows[:20], y_test=labels[:20])
    table = load_datamodule(str(tmp_path / "table.npz"))
    scaler = RowScaler.fit(torch.from_numpy(rows[:40] * 1.5), quantile_transform)
    scaled = scaler.transform(torch.from_numpy(rows))
    schema = TableSchema.unnamed(3)
    write_rows(scaled, torch.from_numpy(labels), CheckpointTable(scaler, schema), tmp_path / "made.npz")
    synthesizer = StoredSynthesizer(str(tmp_path / "made.npz"))
    if quantile_transform:
        for read in (
            lambda: open_samples(str(tmp_path / "made.npz"), table),
            lambda: synthesizer.fit(None, torch.from_numpy(labels), table.spec),
        ):
            with pytest.raises(ConfigurationError, match=r"made\.npz: trained with data\.quantile_transform true"):
                read()
        return
    statistics = table.spec.statistics
    expected = ((torch.from_numpy(rows) - statistics.mean) / statistics.std).float()
    drawn = open_samples(str(tmp_path / "made.npz"), table).sample(80, 0)
    torch.testing.assert_close(drawn, expected, rtol=1e-4, atol=1e-4)
    synthesizer.fit(table.samples("train")[0], torch.from_numpy(labels), table.spec)
    drawn = synthesizer.sample(50)[0]
    assert torch.cdist(drawn, expected).amin(dim=1).max() < 0.01
