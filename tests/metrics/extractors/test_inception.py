"""A network of Inception's architecture with random weights replaces the trained network."""

from __future__ import annotations

import pickle
import urllib.error
from pathlib import Path

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
from torchmetrics.image.fid import FrechetInceptionDistance as TorchmetricsFID

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import FrechetInceptionDistance, InceptionV3Extractor

NAMES = ["2048", "logits_unbiased"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights in torch-fidelity's format."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        network = FeatureExtractorInceptionV3("inception-v3-compat", NAMES)
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def extractor(weights):
    return InceptionV3Extractor(weights)


@pytest.fixture(scope="module")
def images():
    return torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_as_torch_fidelity(extractor, weights, images):
    theirs = FeatureExtractorInceptionV3("inception-v3-compat", NAMES, str(weights))
    for ours, expected in zip(extractor(images), theirs(images), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    assert extractor(images).features.shape == (2, 2048)
    assert extractor(images[:1]).logits.shape == (1, 1008)


def test_fid_as_torchmetrics_set_to_the_papers_resize(extractor, weights, images):
    metric = FrechetInceptionDistance(extractor)
    theirs = TorchmetricsFID(2048, feature_extractor_weights_path=str(weights), antialias=False)
    for part, real in ((images, True), (255 - images, False)):
        metric.update(to_float_images(part), real=real)
        theirs.update(part, real=real)
    assert metric.compute().item() == pytest.approx(theirs.compute().item(), rel=1e-3, abs=1e-3)
    assert metric.singular
    assert metric.settings()["extractor"] == "inception-v3 (torch-fidelity)"


def test_grey_is_repeated(extractor, images):
    gray = images[:1, :1]
    features, repeated = extractor(gray).features, extractor(gray.expand(-1, 3, -1, -1)).features
    torch.testing.assert_close(features, repeated, rtol=1e-4, atol=1e-5)
    assert extractor.settings()["channels"] == "gray repeated to 3"


def test_settings_name_the_resize(extractor):
    assert "299x299" in extractor.settings()["resize"]
    assert extractor.settings()["extractor_digest"] == extractor.digest


@pytest.mark.parametrize("samples", [torch.zeros(2, 2, 8, 8), torch.zeros(2, 64)])
def test_other_samples(extractor, samples):
    with pytest.raises(ConfigurationError, match="expected uint8 images with 1 or 3 channels"):
        extractor(samples)


class TestWeights:
    def test_missing(self, tmp_path):
        with pytest.raises(
            ConfigurationError, match=rf"Inception-v3 weights not found: download {URL_INCEPTION_V3} to"
        ):
            InceptionV3Extractor(tmp_path / "absent.pth")

    def test_of_another_network(self, tmp_path):
        torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
        with pytest.raises(ConfigurationError, match=r"other.pth: not the weights of torch-fidelity's Inception-v3"):
            InceptionV3Extractor(tmp_path / "other.pth")

    @pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04half an archive"])
    def test_no_weights_at_all(self, tmp_path, content):
        (tmp_path / "broken.pth").write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"broken.pth: cannot read weights"):
            InceptionV3Extractor(tmp_path / "broken.pth")

    def test_code_in_the_file_is_not_run(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return Path.touch, (tmp_path / "sprung",)

        with (tmp_path / "trap.pth").open("wb") as file:
            pickle.dump(Trap(), file, protocol=2)
        with pytest.raises(ConfigurationError, match="cannot read weights"):
            InceptionV3Extractor(tmp_path / "trap.pth")
        assert not (tmp_path / "sprung").exists()

    def test_no_network(self, tmp_path, monkeypatch):
        def refuse(*_, **__):
            raise urllib.error.URLError("no route to host")

        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
        place = tmp_path / "hub" / "checkpoints" / Path(URL_INCEPTION_V3).name
        with pytest.raises(
            ConfigurationError, match=r"cannot download the Inception-v3 weights \(.*no route to host.*\): download"
        ) as message:
            InceptionV3Extractor()
        for hint in (URL_INCEPTION_V3, f"to {place}", "inception:PATH"):
            assert hint in str(message.value)
        assert "\n" not in str(message.value)

    def test_weights_in_the_folder_of_the_error_message_are_used(self, tmp_path, monkeypatch, weights, extractor):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        place = tmp_path / "hub" / "checkpoints" / Path(URL_INCEPTION_V3).name
        place.parent.mkdir(parents=True)
        place.symlink_to(weights)
        assert InceptionV3Extractor().digest == extractor.digest
