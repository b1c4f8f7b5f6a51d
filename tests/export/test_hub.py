from __future__ import annotations

import importlib
import json
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import ACGANGenerator, LeNet
from ganmc_lightning.networks.training_data import get_training_data

pytest.importorskip("huggingface_hub")

import httpx
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from ganmc_lightning.export.hub import HubNetwork

LENET = {"in_channels": 1, "image_size": 16, "num_classes": 2, "widths": [4, 8, 16]}


def save(network, class_name, arguments, path, submodule="network"):
    recipe = {"class_path": f"ganmc_lightning.networks.{class_name}", "init_args": arguments}
    torch.save(
        {
            "state_dict": {f"{submodule}.{name}": value for name, value in network.state_dict().items()},
            "hyper_parameters": {"_class_path": "ganmc_lightning.modules.ClassifierModule", submodule: recipe},
            "trained_on": DataSpec((1, 16, 16), 2, ("ant", "bee")).state_dict(),
        },
        path,
    )
    return str(path)


def test_round_trip_by_a_folder_is_exact(tmp_path):
    network = LeNet(**LENET)
    checkpoint = save(network, "LeNet", LENET, tmp_path / "best.ckpt")
    folder = tmp_path / "hub"
    HubNetwork.from_checkpoint(checkpoint).save_pretrained(
        folder, model_card_kwargs={"metrics": {"test accuracy": 0.875}, "title": "Ants and bees"}
    )
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    random_state = torch.get_rng_state()
    loaded = HubNetwork.from_pretrained(folder)
    assert torch.equal(torch.get_rng_state(), random_state)
    inputs = torch.rand(5, 1, 16, 16) * 2 - 1
    assert not loaded.training
    assert torch.equal(loaded(inputs), network.eval()(inputs))
    assert get_training_data(loaded.network).class_names == ("ant", "bee")
    card = (folder / "README.md").read_text()
    for text in ("library_name: ganmc_lightning", "# Ants and bees", "| test accuracy | 0.875 |", "ant, bee"):
        assert text in card
    assert "float32 images (N, 1, 16, 16) in [-1, 1]" in card


def test_generator(tmp_path):
    arguments = {"image_size": 16, "channels": 1, "num_classes": 2, "latent_dim": 4, "width": 2}
    generator = ACGANGenerator(**arguments)
    checkpoint = save(generator, "ACGANGenerator", arguments, tmp_path / "gan.ckpt", "generator")
    HubNetwork.from_checkpoint(checkpoint).save_pretrained(tmp_path / "hub")
    inputs = torch.randn(3, 4), torch.tensor([0, 1, 1])
    loaded = HubNetwork.from_pretrained(tmp_path / "hub")
    assert torch.equal(loaded(*inputs), generator.eval()(*inputs))
    assert "Inputs: latents" in (tmp_path / "hub" / "README.md").read_text()


def test_a_config_file_in_the_current_folder_has_no_effect(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ganmc_lightning.io.archives.MIN_LIMIT", 2**10)
    recipe = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 100, "out_features": 100}}
    assert HubNetwork(recipe)(torch.zeros(1, 100)).shape == (1, 100)


@pytest.fixture
def folder(tmp_path):
    """Return a repository in a folder."""
    recipe = {"class_path": "ganmc_lightning.networks.LeNet", "init_args": LENET}
    HubNetwork(recipe).save_pretrained(tmp_path / "hub")
    return tmp_path / "hub"


def refusal(folder):
    with pytest.raises(ConfigurationError) as caught:
        HubNetwork.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_config_that_names_other_code_is_refused(folder):
    (folder / "config.json").write_text('{"recipe": {"class_path": "os.system", "init_args": {"command": "true"}}}')
    assert "config.json: got the class_path 'os.system'" in refusal(folder)


@pytest.mark.parametrize("change", ["missing", "unexpected", "other shape"])
def test_weights_of_another_network_are_refused(folder, change):
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    if change == "unexpected":
        weights["network.more"] = torch.zeros(1)
    elif change == "missing":
        del weights[name]
    else:
        weights[name] = torch.zeros(1)
    save_file(weights, folder / "model.safetensors")
    assert f"{folder / 'model.safetensors'}: its weights cannot be loaded: " in refusal(folder)


def test_no_recipe_is_refused(folder):
    (folder / "config.json").unlink()
    with pytest.raises(ConfigurationError, match=r"got no recipe in config\.json, expected a repository of"):
        HubNetwork.from_pretrained(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"got no recipe in config\.json, expected a repository of"):
        HubNetwork.from_pretrained(folder)


def test_damaged_or_no_weights_are_refused(folder):
    (folder / "model.safetensors").write_bytes(b"damaged")
    assert "model.safetensors: its weights cannot be loaded: " in refusal(folder)
    (folder / "model.safetensors").unlink()
    assert "model.safetensors: weights not found" in refusal(folder)


RESPONSE = httpx.Response(401, request=httpx.Request("GET", "https://huggingface.co"))


@pytest.mark.parametrize(
    "error",
    [
        EntryNotFoundError("404 Client Error.\n\nEntry Not Found"),
        LocalEntryNotFoundError("Cannot find the file on the disk."),
        HfHubHTTPError("401 Client Error.\n\nRepository Not Found", response=RESPONSE),
    ],
)
def test_weights_that_cannot_be_downloaded_are_refused(folder, error, monkeypatch):
    def download(*_, **__):
        raise error

    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", lambda *_, **__: folder / "config.json")
    monkeypatch.setattr("ganmc_lightning.export.hub.hf_hub_download", download)
    text = refusal("org/name")
    assert text.startswith("org/name: model.safetensors cannot be downloaded: ")
    assert "Not Found" in text or "Cannot find" in text


@pytest.mark.parametrize("downloaded", [False, True])
def test_a_recipe_of_a_large_network_is_refused(folder, downloaded, monkeypatch):
    """As for a checkpoint, the limit depends on the size of the weights; the plain constructor has no limit."""
    recipe = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 10**7, "out_features": 10**7}}
    (folder / "config.json").write_text(json.dumps({"recipe": recipe}))
    if downloaded:
        for module in ("ganmc_lightning.export.hub", "huggingface_hub.hub_mixin"):
            monkeypatch.setattr(
                f"{module}.hf_hub_download", lambda *_, filename="model.safetensors", **__: folder / filename
            )
    assert "its recipe builds a network of more than 268,435,456 bytes" in refusal("org/name" if downloaded else folder)


def test_a_file_without_recipe_is_refused(tmp_path):
    program = torch.export.export(
        torch.nn.Linear(2, 3), (torch.zeros(2, 2),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    )
    torch.export.save(program, tmp_path / "model.pt2")
    with pytest.raises(ConfigurationError, match="got no recipe of its network"):
        HubNetwork.from_checkpoint(str(tmp_path / "model.pt2"))


def test_missing_package(monkeypatch):
    monkeypatch.setattr("ganmc_lightning.io.dependencies.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "ganmc_lightning.export.hub")
    with pytest.raises(ConfigurationError, match=r"require huggingface_hub: pip install .*\[hub\]"):
        importlib.import_module("ganmc_lightning.export.hub")
