from __future__ import annotations

import pytest
import torch

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.export import export_network
from ganmc_lightning.metrics import InceptionV3Extractor, make_extractor
from ganmc_lightning.metrics.extractors import load_classifier
from ganmc_lightning.networks import LeNet4, MLPClassifier, TabularGenerator

RECIPE = {"class_path": "ganmc_lightning.networks.MLPClassifier", "init_args": {"in_features": 6, "num_classes": 3}}


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint of an MLPClassifier as the given submodules."""

    def write(*parts, name="best.ckpt"):
        network = MLPClassifier(6, 3)
        state = {f"{part}.{key}": value for part in parts for key, value in network.state_dict().items()}
        checkpoint = {"state_dict": state, "hyper_parameters": dict.fromkeys(parts, RECIPE)}
        torch.save(checkpoint, tmp_path / name)
        return tmp_path / name, network

    return write


@pytest.mark.parametrize("part", ["network", "student"])
def test_a_teacher_or_a_student(save, part, make_rows):
    path, network = save(part)
    rows = make_rows(5, 0)
    features, logits = make_extractor(f"classifier:{path}")(rows)
    assert torch.equal(logits, network(rows))
    assert torch.equal(features, network.features(rows))


def test_layer(save, make_rows):
    path, network = save("network")
    rows = make_rows(5, 0)
    features = make_extractor(f"classifier:{path}:features.1", (6,))(rows).features
    assert torch.equal(features, network.features[1](rows))
    with pytest.raises(ConfigurationError, match="sample_shape is required"):
        make_extractor(f"classifier:{path}:features.1")


def test_a_colon_in_the_path(save):
    path, _ = save("network", name="odd:name.ckpt")
    assert make_extractor(f"classifier:{path}").settings()["layer"] == "input of classifier"
    assert make_extractor(f"classifier:{path}:features.1", (6,)).settings()["layer"] == "features.1"


def test_shape_is_tried(save):
    path, _ = save("network")
    with pytest.raises(ConfigurationError, match=r"does not accept samples of shape \(7,\)"):
        make_extractor(f"classifier:{path}", (7,))


def test_a_file_of_safetensors(tmp_path, make_rows):
    network = MLPClassifier(6, 3)
    (file,) = export_network(network, tmp_path, ["safetensors"], spec=DataSpec((6,), 3), recipe=RECIPE)
    rows = make_rows(5, 0)
    assert torch.equal(load_classifier(str(file.path))(rows), network(rows))
    assert torch.equal(make_extractor(f"classifier:{file.path}")(rows).features, network.features(rows))


def test_a_generator_of_safetensors_is_no_classifier(tmp_path):
    recipe = {"class_path": "ganmc_lightning.networks.TabularGenerator", "init_args": {"num_features": 2}}
    (file,) = export_network(TabularGenerator(2), tmp_path, ["safetensors"], spec=DataSpec((2,), 2), recipe=recipe)
    with pytest.raises(ConfigurationError, match="got a TabularGenerator, expected a classifier"):
        load_classifier(str(file.path))


def test_a_gan_is_no_classifier(save):
    path, _ = save("generator", "discriminator")
    with pytest.raises(
        ConfigurationError,
        match=r"got the submodules discriminator, generator, expected a classifier \(network or student\)",
    ):
        make_extractor(f"classifier:{path}")


@pytest.fixture
def pooled(tmp_path, monkeypatch):
    """A module with a classifier of averages over 4x4 blocks of 32x32 images, and its weights file."""
    (tmp_path / "pooled_models.py").write_text(
        "from torch import nn\n"
        "def make(num_classes=3):\n"
        "    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 8 * 8, num_classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(0)
    layer = torch.nn.Linear(192, 3)
    torch.save({"2.weight": layer.weight, "2.bias": layer.bias}, tmp_path / "pooled.pt")
    return f"pooled_models:make:{tmp_path}/pooled.pt", layer


def test_a_classifier_of_another_library(pooled):
    reference, layer = pooled
    images = torch.randint(256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    extractor = make_extractor(f"classifier:{reference}", (3, 16, 16), image_size=32)
    larger = torch.nn.functional.interpolate(images / 127.5 - 1, size=32, mode="bilinear", antialias=True)
    features, logits = extractor(images)
    torch.testing.assert_close(features, torch.nn.functional.avg_pool2d(larger, 4).flatten(1))
    torch.testing.assert_close(logits, layer(features))
    assert extractor.settings()["resize"] == "bilinear to 32x32, antialiased"
    assert extractor.name.startswith("pooled_models:make:")
    same_size = make_extractor(f"classifier:{reference}", (3, 32, 32))
    assert same_size.settings()["resize"] == "none"
    assert same_size.digest != extractor.digest
    with pytest.raises(ConfigurationError, match=r"does not accept samples of shape \(3, 16, 16\)"):
        make_extractor(f"classifier:{reference}", (3, 16, 16))


def test_load_classifier_by_reference(pooled):
    reference, layer = pooled
    logits = load_classifier(reference)(torch.zeros(1, 3, 32, 32))
    torch.testing.assert_close(logits, layer.bias[None])


def test_size_without_a_reference(save):
    path, _ = save("network")
    with pytest.raises(ConfigurationError, match=r"extractor size: got 32 for .*, expected 'classifier:REF"):
        make_extractor(f"classifier:{path}", image_size=32)


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="checkpoint not found"):
        make_extractor(f"classifier:{tmp_path / 'absent.ckpt'}")


@pytest.mark.parametrize("spec", ["", "vgg", "classifier", "classifier:", "Inception", "inception3:x"])
def test_unknown(spec):
    with pytest.raises(ConfigurationError, match=r"extractor: got '.*', expected 'inception', 'inception:WEIGHTS.pth'"):
        make_extractor(spec)


def test_inception(monkeypatch, tmp_path):
    asked = []

    def load(weights):
        asked.append(weights)
        return LeNet4()  # whatever: only the argument is of interest here

    monkeypatch.setattr("ganmc_lightning.metrics.extractors.inception._load", load)
    assert isinstance(make_extractor("inception"), InceptionV3Extractor)
    make_extractor(f"inception:{tmp_path}/a.pth")
    assert asked == [None, f"{tmp_path}/a.pth"]
