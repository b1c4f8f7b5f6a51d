"""A recipe of a few bytes cannot build a network that is much larger than its file."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io import archives
from ganmc_lightning.networks import load_network
from ganmc_lightning.networks.allocation import AllocationLimit


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
    ],
)
def test_all_new_tensors_count(build, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MIN_LIMIT", 2**18)
    (tmp_path / "x").touch()
    with AllocationLimit(str(tmp_path / "x")):
        torch.zeros(1000)
        with pytest.raises(ConfigurationError, match="its recipe builds a network of more than 262,144 bytes"):
            build()
