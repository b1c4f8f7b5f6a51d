"""Teachers that are adapted to the data, and students by reference."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.compression import LoadedSource
from ganmc_lightning.compression.inputs import make_student, match_data
from ganmc_lightning.compression.plan import hash_network
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import PretrainedClassifier, allowed
from ganmc_lightning.networks.recipes import instantiate_network
from ganmc_lightning.networks.training_data import set_training_data


def named(source: LoadedSource, names: tuple[str, ...]) -> LoadedSource:
    source = LoadedSource(source)
    source.splits = source.splits._replace(class_names=names)
    return source


def test_outputs_are_ordered_by_class_name(gray: LoadedSource) -> None:
    source = named(gray, ("a", "b", "c"))
    teacher = PretrainedClassifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 3))).eval()
    plain = match_data(teacher, source)
    set_training_data(teacher, plain.spec._replace(class_names=("c", "a", "b")))
    matched = match_data(teacher, source)
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(matched.teacher(images), teacher(images)[:, [1, 2, 0]])
    assert (plain.remarks, len(matched.remarks)) == ([], 1)
    assert "another order" in matched.remarks[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_other_precisions_are_copied_in_float32(gray: LoadedSource, dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).to(dtype).eval()
    matched = match_data(network, gray)
    student = make_student(network, None, matched.teacher, matched.spec, smaller=10, seed=0)
    for converted in (matched.teacher, student.network):
        assert converted(torch.zeros(1, 1, 8, 8)).dtype == torch.float32
    assert next(network.parameters()).dtype == dtype


def test_other_class_names_are_refused(gray: LoadedSource) -> None:
    source = named(gray, ("a", "b", "c"))
    teacher = PretrainedClassifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 3))).eval()
    set_training_data(teacher, match_data(teacher, source).spec._replace(class_names=("c", "a", "d")))
    with pytest.raises(ConfigurationError, match="class 0 of its training data is 'c', expected 'a'"):
        match_data(teacher, source)


def test_the_hash_of_a_teacher_depends_on_its_inputs() -> None:
    network = nn.Linear(2, 2)
    teachers = [
        PretrainedClassifier(network),
        PretrainedClassifier(network, [0.5], [0.5]),
        PretrainedClassifier(network, [0.5], [0.4]),
        PretrainedClassifier(network, image_size=4),
        PretrainedClassifier(network, image_size=4, resize=True),
        PretrainedClassifier(network, outputs="probabilities"),
        PretrainedClassifier(network, class_order=[1, 0]),
    ]
    assert len(set(map(hash_network, teachers))) == len(teachers)


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


def test_students_of_own_code_can_be_loaded_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = "return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))"
    source = f"from torch import nn\ndef plain(num_classes):\n    {build}\n"
    source += f"def annotated(num_classes) -> nn.Module:\n    {build}\n"
    (tmp_path / "my_students.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(allowed, "_allowed", [])
    spec = DataSpec((1, 8, 8), 4)
    student = make_student("my_students:annotated", None, nn.Identity(), spec, smaller=10, seed=0)
    assert isinstance(instantiate_network(student.recipe, "student.ckpt"), nn.Sequential)
    with pytest.raises(ConfigurationError, match=r"student: my_students:plain: .* def plain\(...\) -> nn.Module$"):
        make_student("my_students:plain", None, nn.Identity(), spec, smaller=10, seed=0)
