from __future__ import annotations

import importlib
import sys

import pytest
import torch

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import ACGANGenerator, LeNet
from ganmc_lightning.networks.training_data import get_training_data

pytest.importorskip("huggingface_hub")

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


def test_a_config_that_names_other_code_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"recipe": {"class_path": "os.system", "init_args": {"command": "true"}}}')
    with pytest.raises(ConfigurationError, match=r"config\.json: got the class_path 'os\.system'"):
        HubNetwork.from_pretrained(tmp_path)


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
