"""Students by reference: checkpoints that need no other file."""

from __future__ import annotations

import shutil

import pytest
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.compression.inputs import make_student
from ganmc_lightning.networks.recipes import instantiate_network


def test_the_recipe_of_a_hugging_face_student_contains_its_configuration(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]}
    transformers.ResNetConfig(**sizes).save_pretrained(tmp_path / "hub")
    spec = DataSpec((1, 32, 32), 4)
    student = make_student(f"hf:{tmp_path / 'hub'}", None, nn.Identity(), spec, smaller=10, seed=0)
    shutil.rmtree(tmp_path / "hub")
    rebuilt = instantiate_network(student.recipe, "student.ckpt")
    shapes = {name: value.shape for name, value in student.network.state_dict().items()}
    assert {name: value.shape for name, value in rebuilt.state_dict().items()} == shapes
