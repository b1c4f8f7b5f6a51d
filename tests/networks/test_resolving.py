from __future__ import annotations

import pytest
from safetensors.torch import save_file

from ganmc_lightning.networks import MLPClassifier
from ganmc_lightning.networks.recipe_metadata import encode_recipe
from ganmc_lightning.networks.resolving import find_recipe

RECIPE = {
    "class_path": "ganmc_lightning.networks.MLPClassifier",
    "init_args": {"in_features": 2, "num_classes": 3, "widths": [5]},
}


@pytest.mark.parametrize("recipe", [RECIPE, None])
def test_recipe_of_safetensors_without_reading_the_weights(tmp_path, monkeypatch, recipe):
    path = tmp_path / "model.safetensors"
    save_file(MLPClassifier(2, 3, (5,)).state_dict(), path, encode_recipe(recipe, None))
    monkeypatch.setattr("ganmc_lightning.networks.weight_files.load_file", lambda _: pytest.fail("read"))
    assert find_recipe(str(path)) == recipe
