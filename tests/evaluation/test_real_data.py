from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ganmc_lightning.evaluation import load_datamodule
from ganmc_lightning.evaluation.evaluator import statistics_folder
from ganmc_lightning.exceptions import ConfigurationError

CONFIG = {
    "dataset": {"class_path": "ganmc_lightning.data.datasets.NpzFile", "init_args": {"path": "tiny.npz"}},
    "train_size": 30,
    "validation_fraction": 0.25,
    "batch_size": 64,
    "p_fake": 0.5,
    "synthesizer": {
        "class_path": "ganmc_lightning.synthesizers.GeneratorSynthesizer",
        "init_args": {
            "generator": {
                "class_path": "ganmc_lightning.networks.load_generator",
                "init_args": {"path": "not/there.ckpt"},
            }
        },
    },
}


@pytest.mark.parametrize("name", ["digits", "Digits", "ganmc_lightning.data.datasets.Digits"])
def test_a_source_by_name_or_class(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    data = load_datamodule(name)
    assert data.dataset.name == "digits"
    assert data.spec[:3] == ((1, 8, 8), 10, tuple("0123456789"))


def test_splits_equal_those_of_training(data, make_data):
    module = make_data()
    module.setup("fit")
    for part, count in (("train", 108), ("val", 12), ("test", 40)):
        found, labels = data.samples(part)
        assert len(labels) == count
        assert torch.equal(found, module.samples(part)[0])


def test_a_training_configuration_decides_the_split_and_loads_no_generator(data_root, tmp_path, monkeypatch):
    monkeypatch.chdir(data_root)
    file = tmp_path / "teacher.yaml"
    file.write_text(yaml.safe_dump({"data": CONFIG, "model": {"class_path": "Unknown"}}))
    data = load_datamodule(str(file))
    assert [len(data.samples(part)[1]) for part in ("train", "val", "test")] == [30, 30, 40]


def test_a_training_configuration_without_validation_samples(data_root, tmp_path, monkeypatch):
    monkeypatch.chdir(data_root)
    file = tmp_path / "final.yaml"
    file.write_text(yaml.safe_dump({"data": {"dataset": CONFIG["dataset"], "validation_fraction": 0.0}}))
    data = load_datamodule(str(file))
    assert [len(data.samples(part)[1]) for part in ("train", "test")] == [120, 40]
    with pytest.raises(ConfigurationError, match="which leaves no validation samples"):
        data.samples("val")


def test_a_folder_of_images(data_root, tmp_path):
    with np.load(data_root / "tiny.npz") as arrays:
        for index, (image, label) in enumerate(zip(arrays["train_images"], arrays["train_labels"], strict=True)):
            folder = tmp_path / "photos.v2" / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(folder / f"{index:03}.png")
    data = load_datamodule(str(tmp_path / "photos.v2"))
    assert data.spec[:3] == ((3, 8, 8), 3, ("0", "1", "2"))
    assert sum(len(data.samples(part)[1]) for part in ("train", "val", "test")) == 120


def test_rows_are_z_scores(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    data = load_datamodule("breast_cancer")
    rows = data.samples("train")[0]
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(30), atol=1e-4, rtol=0)


def test_no_cache_where_it_cannot_be_written(data, tmp_path):
    assert statistics_folder(data) == tmp_path / "root" / "statistics"
    (tmp_path / "root" / "statistics").rmdir()
    (tmp_path / "root" / "statistics").write_text("a file")
    assert statistics_folder(data) is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("dgits", None, "--data: got 'dgits', expected .*digits"),
        ("absent.npz", None, "absent.npz"),
        ("absent.yaml", None, "absent.yaml: file not found"),
        ("none.yaml", "model: {}", "none.yaml: data.dataset not found"),
        ("list.yaml", "[1]", "list.yaml: got .*, expected a mapping"),
        ("bad.yaml", "a: [", "bad.yaml: not valid YAML"),
        ("wrong.yaml", "data: {dataset:  Nope}", "wrong.yaml: .*data.dataset"),
        ("large.yaml", "data: {dataset:  Digits, train_size: 5000}", "train_size: got 5000"),
        ("nowhere.DatasetSource", None, "nowhere.DatasetSource"),
    ],
)
def test_bad_input_is_one_line(name, text, message, tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_datamodule(name)
    assert "\n" not in str(caught.value)


def test_a_training_configuration_decides_how_rows_are_scaled(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    file = tmp_path / "gan.yaml"
    file.write_text(yaml.safe_dump({"data": {"dataset": "BreastCancer", "quantile_transform": True}}))
    assert len(load_datamodule(str(file)).spec.statistics.quantiles) == 30


def test_rows_are_scaled_as_the_configuration_scales_them(tmp_path):
    rows, labels = np.random.default_rng(0).normal(size=(80, 2)), np.arange(80) % 2
    np.savez(tmp_path / "rows.npz", X=np.exp(3 * rows), y=labels)
    source = {"class_path": "ganmc_lightning.data.datasets.NpzFile", "init_args": {"path": str(tmp_path / "rows.npz")}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"data": {"dataset": source, "quantile_transform": True}}))
    seen = load_datamodule(str(tmp_path / "c.yaml")).samples("train")[0]
    assert seen.pow(3).mean(dim=0).abs().max() < 0.5  # z-scores would keep the skew
    assert load_datamodule(str(tmp_path / "rows.npz")).samples("train")[0].pow(3).mean(dim=0).min() > 2
