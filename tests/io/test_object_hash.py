from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.object_hash import hash_object
from ganmc_lightning.networks import ACGANGenerator

SCRIPT = """
import torch
from ganmc_lightning.io.object_hash import hash_object
from ganmc_lightning.networks import ACGANGenerator
torch.manual_seed(0)
print(hash_object([ACGANGenerator(image_size=8, channels=1, num_classes=3, width=4), {"b", "a", "c"}]))
"""


def test_equal_in_another_process() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(hash_object.__code__.co_filename).parents[2])},
        ).stdout.strip()
    }
    torch.manual_seed(0)
    generator = ACGANGenerator(image_size=8, channels=1, num_classes=3, width=4)
    assert hashes == {hash_object([generator, {"c", "b", "a"}])}


@pytest.mark.parametrize(
    "values",
    [
        (nn.Linear(2, 2), nn.Linear(2, 2)),  # weights
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)),  # settings
        (nn.ReLU(), nn.ReLU6()),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.zeros(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.bfloat16)),
        (np.array([1.0]), np.array([2.0])),
        ([[1], 2], [1, [2]]),
        ({"a": 1}, {"a": 2}),
        (np.array(["a", "b"]), np.array(["a", "c"])),
        (np.array(["a", 1], dtype=object), np.array(["a", 2], dtype=object)),
        (np.zeros((0, 2)), np.zeros((2, 0))),
        (spectral_norm(nn.Linear(2, 2)), spectral_norm(nn.Linear(2, 2))),
        (partial(max, 1), partial(max, 2)),
        (1, True),
        ("1", 1),
    ],
)
def test_different_states_have_different_hashes(values: tuple[object, object]) -> None:
    assert hash_object(values[0]) != hash_object(values[1])


def test_layout_and_identity_have_no_influence() -> None:
    image = torch.rand(2, 3, 4, 4)
    assert hash_object(image) == hash_object(image.to(memory_format=torch.channels_last))
    first, second = [1, 2], [1, 2]
    assert hash_object([first, first]) == hash_object([first, second])
    cycle: list[object] = [1]
    cycle.append(cycle)
    assert hash_object(cycle) != hash_object([1, [1]])


def test_equal_parametrized_layers_have_equal_hashes() -> None:
    """Their classes are created by PyTorch for each layer and cannot be pickled."""
    layers = [spectral_norm(nn.Linear(2, 2)) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    assert hash_object(layers[0]) == hash_object(layers[1])


def test_definitions_of_interactive_sessions_are_refused() -> None:
    """Another definition of the same name would have an equal hash."""
    code = """if True:
        from ganmc_lightning.exceptions import ConfigurationError
        from ganmc_lightning.io.object_hash import hash_object
        class Part: pass
        def part(): pass
        for definition in (Part, part):
            try:
                hash_object(definition)
            except ConfigurationError as error:
                print(error)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = "hash of {}: got a name in an interactive session, expected a name in a module"
    assert done.stdout.splitlines() == [expected.format(name) for name in ("Part", "part")]


def test_local_functions_are_refused() -> None:
    layer = nn.ReLU()
    layer.register_forward_hook(lambda *_: None)
    with pytest.raises(ConfigurationError, match=r"got a local object"):
        hash_object(layer)
