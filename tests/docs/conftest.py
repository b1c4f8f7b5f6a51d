"""A folder to run the documentation in: short configurations, random data sets, stand-in files, trained networks."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import TensorDataset

from ganmc_lightning.cli import main

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = {
    "trainer": {
        "max_epochs": 1,
        "check_val_every_n_epoch": 1,
        "limit_train_batches": 2,
        "limit_val_batches": 1,
        "limit_test_batches": 1,
        "accelerator": "cpu",
        "devices": 1,
        "strategy": "auto",
        "precision": "32-true",
        "enable_progress_bar": False,
        "enable_model_summary": False,
    },
    "data": {"batch_size": 4, "num_workers": 0},
}
SMALLER = {"num_students": 1, "teacher_trees": 5, "synthetic_ratio": 1, "num_samples": 50, "n_estimators": 10}
STAGES = ("teacher", "acgan", "student_alone", "real_only", "mixed_02")  # of the experiment digits
IMAGES = {"fashion_mnist": (28, 1), "mnist": (28, 1), "cifar10": (32, 3)}  # size, channels
ROWS = {"magic": 10, "higgs": 28}  # columns


def reduce_config(value: Any) -> Any:
    """Reduce the counts of a configuration, and replace interpolated training sizes."""
    if isinstance(value, list):
        return [reduce_config(item) for item in value]
    if not isinstance(value, dict):
        return value
    reduced = {key: min(item, SMALLER[key]) if key in SMALLER else reduce_config(item) for key, item in value.items()}
    if "train_size" in reduced:
        reduced["train_size"] = 40
    return reduced


def tiny_training(content: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a training with two batches."""
    reduced: dict[str, Any] = reduce_config(content)
    if "model" not in content and "trainer" not in content:  # a fragment, or a configuration of another command
        return reduced
    for section, limits in TINY.items():
        if section in reduced:
            reduced[section] = {**reduced[section], **limits}
    return reduced


def write_configs(folder: Path) -> None:
    """Write all shipped configurations with short trainings; of the experiment digits, some stages."""
    for file in CONFIGS.rglob("*.yaml"):
        copy = folder / file.relative_to(CONFIGS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if ".experiment." in file.name and file.name != "digits.experiment.yaml":
            shutil.copy(file, copy)
            continue
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        if "stages" in content:
            content["stages"] = {name: content["stages"][name] for name in STAGES}
            content["report"] = {"rows": [{"name": name, "stage": name} for name in ("teacher", "mixed_02")]}
            content["quick"] = {}
        copy.write_text(yaml.safe_dump(tiny_training(content), sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="session")
def documented_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a data root with random data sets in the shapes of the built-in ones."""
    root, random = tmp_path_factory.mktemp("documented_data"), np.random.default_rng(0)
    for name, (size, channels) in IMAGES.items():
        arrays = {}
        for split, n in (("train", 80), ("test", 20)):
            arrays[f"{split}_images"] = random.integers(0, 256, (n, size, size, channels), np.uint8)
            arrays[f"{split}_labels"] = np.arange(n) % 10
        np.savez(root / f"{name}.npz", **arrays)
    for name, columns in ROWS.items():
        X, y = random.normal(size=(120, columns)), np.arange(120) % 2
        np.savez(root / f"{name}.npz", X_train=X[:80], y_train=y[:80], X_test=X[80:], y_test=y[80:])
    return root


@pytest.fixture(scope="session")
def documented_configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the reduced configurations."""
    folder = tmp_path_factory.mktemp("documented_configs")
    write_configs(folder)
    return folder


@pytest.fixture(scope="session")
def python_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder on ``sys.path`` for the modules that pages contain, with the user's module ``my_models``.

    It stays importable: the parser imports the modules of all subclasses that the process has defined.
    """
    folder = tmp_path_factory.mktemp("modules")
    module = "import torch\nfrom torch import nn\n\n\n" + inspect.getsource(make_teacher)
    (folder / "my_models.py").write_text(module, encoding="utf-8")
    sys.path.insert(0, str(folder))
    return folder


@pytest.fixture(scope="session")
def trained_runs(tmp_path_factory: pytest.TempPathFactory, documented_configs: Path, documented_data: Path) -> Path:
    """Train the networks that pages load: the experiment digits and a classifier of Fashion-MNIST."""
    folder = tmp_path_factory.mktemp("trained_runs")
    shutil.copytree(documented_configs, folder / "configs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GANMC_DATA", str(documented_data))
        for command in ("reproduce digits", "fit --config configs/fashion_mnist/teacher.yaml"):
            assert main(command.split()) == 0, command
    return folder / "runs"


def write_images(folder: Path) -> None:
    """Write a folder of dark (class 0) and bright images."""
    for label, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for k, image in enumerate(make_photos(label)):
            Image.fromarray(image).save(folder / name / f"{k}.png")


def make_photos(label: int) -> NDArray[np.uint8]:
    """Return random images (20, 16, 16, 3) of a class."""
    return np.random.default_rng(label).integers(128 * label, 128 * label + 128, (20, 16, 16, 3), np.uint8)


def write_resnet(file: Path) -> None:
    """Write the weights of a classifier of the images of ``write_images``: random features, a fitted last layer."""
    timm = pytest.importorskip("timm")
    images = np.concatenate([make_photos(0), make_photos(1)])
    network = timm.create_model("resnet18", num_classes=2).eval()
    with torch.no_grad():
        inputs = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
        features = network.forward_head(network.forward_features(inputs), pre_logits=True)
        ones = torch.ones(len(features), 1)
        targets = torch.eye(2).repeat_interleave(20, dim=0)
        weights = torch.linalg.lstsq(torch.cat([features, ones], dim=1), targets, driver="gelsd").solution.T
        network.fc.weight.copy_(weights[:, :-1])
        network.fc.bias.copy_(weights[:, -1])
    save_file(network.state_dict(), file)


def write_table(file: Path) -> None:
    """Write a table with three columns and the target ``y``."""
    X = np.random.default_rng(0).normal(size=(120, 3)).round(3)
    rows = [f"{a},{b},{c},{int(a + b > 0)}" for a, b, c in X]
    file.write_text("\n".join(["a,b,c,y", *rows, ""]), encoding="utf-8")


def write_forest(file: Path) -> None:
    """Fit a forest to the table of ``write_table``."""
    skops = pytest.importorskip("skops.io")
    from sklearn.ensemble import RandomForestClassifier

    X = np.random.default_rng(0).normal(size=(120, 3)).round(3)
    skops.dump(RandomForestClassifier(10, random_state=0).fit(X, X[:, 0] + X[:, 1] > 0), file)


def make_teacher() -> nn.Module:
    """Return a classifier of dark (class 0) and bright images of any size."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 2))
    with torch.no_grad():
        network[2].weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 48))
        network[2].bias.zero_()
    return network


def write_weights(file: Path) -> None:
    """Write the weights of ``make_teacher``."""
    torch.save(make_teacher().state_dict(), file)


def write_generator(file: Path) -> None:
    """Write random weights of the generator of ``docs/gan-compression.md``."""
    layers = (nn.ConvTranspose2d(64, 16, 7), nn.ConvTranspose2d(16, 8, 4), nn.ConvTranspose2d(8, 1, 4))
    network = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
    torch.save(network.state_dict(), file)


def random_dataset(n: int) -> TensorDataset:
    """Return a PyTorch dataset of dark and bright images."""
    labels, random = torch.arange(n) % 2, torch.Generator().manual_seed(n)
    images = torch.randint(128, (n, 3, 16, 16), generator=random) + 128 * labels[:, None, None, None]
    return TensorDataset(images.to(torch.uint8), labels)


STAND_INS: dict[str, Callable[[Path], None]] = {
    "photos": write_images,
    "train.csv": write_table,
    "test.csv": write_table,
    "forest.skops": write_forest,
    "generator.pth": write_generator,
    "weights.pt": write_weights,
    "weights.safetensors": write_resnet,
}
"""Files of the user that pages name, and functions that write them."""


@pytest.fixture
def project(
    tmp_path: Path,
    documented_configs: Path,
    documented_data: Path,
    python_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: Any,
) -> Callable[[str], Path]:
    """Return a function that creates the working directory of a page with the files that its text names."""

    def create(text: str) -> Path:
        shutil.copytree(documented_configs, tmp_path / "configs")
        for name, write in STAND_INS.items():
            if name in text:
                write(tmp_path / name)
        if "runs/" in text:
            shutil.copytree(request.getfixturevalue("trained_runs"), tmp_path / "runs")
        if "docs/results/" in text:
            (tmp_path / "docs").symlink_to(Path(__file__).parents[2] / "docs")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("GANMC_DATA", str(documented_data))
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
        monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb_data"))
        return tmp_path

    return create


@pytest.fixture
def user_objects() -> dict[str, Any]:
    """Return objects of the user that Python blocks name."""
    return {
        "teacher": make_teacher(),
        "student": nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)),
        "train": random_dataset(80),
        "test": random_dataset(40),
    }


@pytest.fixture(name="tiny_training")
def _tiny_training() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that shortens a training."""
    return tiny_training
