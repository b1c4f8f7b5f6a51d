"""Students and controls of generator compression take equally many generator steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

FOLDERS = sorted(
    path.parent
    for path in (Path(__file__).parents[2] / "configs").glob("*/gan_compression_*.experiment.yaml")
    if (path.parent / "gan_compression_joint.yaml").is_file()
)
SIZES = {"MNIST": 60_000, "FashionMNIST": 60_000, "CIFAR10": 50_000, "CelebA": 162_770}


def count_samples(dataset):
    """Return the number of training samples of a data set: known by name, wrapped, or given as ``size``."""
    if isinstance(dataset, str):
        return SIZES[dataset.rpartition(".")[2]]
    arguments = dataset["init_args"]
    return arguments["size"] if "size" in arguments else count_samples(arguments["dataset"])


def generator_steps(file):
    """Return the number of generator (or student) steps: one per ``n_critic`` batches."""
    content = yaml.safe_load(file.read_text())
    batches = count_samples(content["data"]["dataset"]) // content["data"]["batch_size"]
    return content["trainer"]["max_epochs"] * batches / content["model"]["init_args"].get("n_critic", 1)


def test_folders():
    assert [folder.name for folder in FOLDERS] == ["celeba", "cifar10", "fashion_mnist", "mnist", "mnist_64"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_student_and_teacher_take_equally_many_steps(folder):
    steps = {name: generator_steps(folder / f"{name}.yaml") for name in ("dcgan", "gan_compression_mse")}
    assert len(set(steps.values())) == 1, steps
    assert generator_steps(folder / "gan_compression_joint.yaml") == steps["dcgan"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_controls_have_a_discriminator_of_the_teachers_width(folder):
    """And no stage changes the number of steps."""
    teacher = yaml.safe_load((folder / "dcgan.yaml").read_text())["model"]["init_args"]["generator"]["init_args"]
    (file,) = folder.glob("gan_compression_*.experiment.yaml")
    stages = yaml.safe_load(file.read_text())["stages"]
    controls = {name: stage["overrides"] for name, stage in stages.items() if name.startswith("regular_")}
    students = {
        name.removeprefix("mse_"): stage["overrides"] for name, stage in stages.items() if name.startswith("mse_")
    }
    assert {name.removeprefix("regular_") for name in controls} == set(students)
    for name, settings in controls.items():
        width = int(name.removeprefix("regular_"))
        assert settings == {
            "model.init_args.generator.init_args.width": width,
            "model.init_args.discriminator.init_args.width": teacher["width"],
        }
        assert students[str(width)] == {"model.init_args.student.init_args.width": width}
