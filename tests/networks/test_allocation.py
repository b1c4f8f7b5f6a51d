"""A recipe of a few bytes cannot build a network that is much larger than its file."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io import archives
from ganmc_lightning.networks import load_network
from ganmc_lightning.networks.allocation import AllocationLimit
from ganmc_lightning.networks.recipes import instantiate_network

MESSAGE = "its recipe builds a network of more than 262,144 bytes"


def save(path, width):
    recipe = {"class_path": "torch.nn.Linear", "init_args": {"in_features": width, "out_features": width}}
    network = nn.Linear(8, 8)
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": {"network": recipe}}, path)
    return str(path)


def test_small_network(tmp_path):
    assert load_network(save(tmp_path / "x.ckpt", 8), "network")(torch.zeros(1, 8)).shape == (1, 8)


def test_large_network(tmp_path):
    with pytest.raises(ConfigurationError, match=r"x.ckpt: its recipe builds a network of more than 268,435,456 bytes"):
        load_network(save(tmp_path / "x.ckpt", 10**7), "network")


@pytest.mark.parametrize(
    "build",
    [
        lambda: [torch.zeros(10**4) for _ in range(8)],
        lambda: torch.full((10**5,), 1.0),
        lambda: torch.arange(10**6),
        lambda: torch.eye(10**6),
        lambda: torch.empty_strided((10**3, 10**3), (1, 10**3)),
        lambda: torch.zeros(10**5, dtype=torch.float64),
        lambda: torch.zeros(10**4)[:, None] - torch.zeros(10**4),
        lambda: torch.zeros(1).expand(10**6, 10**6).clone(),
        lambda: torch.zeros(1).expand(10**6, 10**6).contiguous(),
        lambda: torch.ones_like(torch.zeros(1).expand(10**6, 10**6)),
        lambda: torch.zeros(10**4, 1) @ torch.zeros(1, 10**4),
        lambda: torch.zeros(3).repeat(10**12),
        lambda: torch.stack(torch.meshgrid(torch.zeros(10**4), torch.zeros(10**4), indexing="ij")),
        lambda: torch.ones(3).repeat_interleave(torch.full((3,), 10**5)),  # its size depends on values
        lambda: [copy.deepcopy(torch.zeros(10**4)) for _ in range(8)],
    ],
)
def test_all_new_tensors_count(build, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MIN_LIMIT", 2**18)
    (tmp_path / "x").touch()
    with AllocationLimit(str(tmp_path / "x")):
        torch.zeros(1000)
        with pytest.raises(ConfigurationError, match=MESSAGE):
            build()


def test_views_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MIN_LIMIT", 2**18)
    (tmp_path / "x").touch()
    with AllocationLimit(str(tmp_path / "x")):
        weights = torch.zeros(10**4)
        for _ in range(100):
            weights.view(100, 100).T[3:].detach().uniform_()
        torch.zeros(1).expand(10**6, 10**6).unsqueeze(0).split(1000)


@pytest.mark.parametrize(
    ("class_path", "arguments"),
    [
        (  # the coordinates of the pairs of pixels are a difference of small tensors
            "torchvision.models.SwinTransformer",
            {"patch_size": [4, 4], "embed_dim": 8, "depths": [2], "num_heads": [1], "window_size": [400, 400]},
        ),
        (
            "torch.nn.TransformerEncoder",  # it copies its layer
            {
                "encoder_layer": {
                    "class_path": "torch.nn.BatchNorm1d",
                    "init_args": {"num_features": 10**6, "affine": False},
                },
                "num_layers": 10**4,
            },
        ),
    ],
)
def test_networks_that_allocate_by_operations(class_path, arguments, tmp_path):
    (tmp_path / "x").touch()
    with (
        AllocationLimit(str(tmp_path / "x")),
        pytest.raises(ConfigurationError, match="its recipe builds a network of more than 268,435,456 bytes"),
    ):
        instantiate_network({"class_path": class_path, "init_args": arguments}, "x")


@pytest.mark.parametrize("name", ["swin_t", "mobilenet_v3_small"])
def test_networks_of_a_usual_size_are_unchanged(name, tmp_path):
    (tmp_path / "x").touch()
    recipe = {"class_path": "ganmc_lightning.networks.build_network", "init_args": {"reference": f"torchvision:{name}"}}
    torch.manual_seed(0)
    expected = instantiate_network(recipe, "x").state_dict()
    state = torch.get_rng_state()
    torch.manual_seed(0)
    with AllocationLimit(str(tmp_path / "x")):
        actual = instantiate_network(recipe, "x").state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(actual[key], value) for key, value in expected.items())
