"""Networks built from recipes."""

from __future__ import annotations

import torch

from ganmc_lightning.networks.recipes import instantiate_network


def test_random_state_is_unchanged():
    """A stage without a generator has the initial weights of a stage that loads one."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    recipe = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 2, "out_features": 3}}
    network = instantiate_network(recipe, "demo.ckpt")
    assert torch.equal(torch.rand(3), expected)
    assert network.weight.std() > 0
