"""`ganmc compress` on a folder of images."""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from torch import nn

from ganmc_lightning.cli.compress_images import find_teacher_size
from ganmc_lightning.export.files import MIN_AGREEMENT
from ganmc_lightning.networks import DCGANGenerator, MLPClassifier, load_network

CLASSES = ("left", "middle", "right")
FACTORY = "ganmc_lightning.networks:MLPClassifier"
ARGUMENTS = json.dumps({"in_features": 192, "hidden": [32]})


class Inputs(NamedTuple):
    """Folder of class folders, and the state dict of a classifier of its images."""

    photos: Path
    weights: Path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("compress_images")
    random = torch.Generator().manual_seed(0)
    images = torch.randint(60, (120, 8, 8), generator=random, dtype=torch.uint8)
    labels = torch.arange(120) % 3
    for index, label in enumerate(labels.tolist()):
        images[index, :, 3 * label : 3 * label + 2] += 150
        path = folder / "photos" / CLASSES[label] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[index].numpy()).save(path)
    torch.manual_seed(0)
    teacher = MLPClassifier(in_features=192, num_classes=3, hidden=[32])
    optimizer = torch.optim.Adam(teacher.parameters(), lr=0.01)
    batch = images[:, None].expand(-1, 3, -1, -1) / 127.5 - 1
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(teacher(batch), labels).backward()
        optimizer.step()
    torch.save({"model_state_dict": teacher.state_dict()}, folder / "teacher.pth")
    return Inputs(folder / "photos", folder / "teacher.pth")


@pytest.fixture(autouse=True)
def _short_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganmc_lightning.cards.measuring.LATENCY_SECONDS", 0.01)


@pytest.fixture
def compress(ganmc: Any, inputs: Inputs, tmp_path: Path) -> Any:
    """Run the command with a small student, unless options say otherwise."""

    def run(*options: Any, data: Any = inputs.photos, student: str = FACTORY) -> Any:
        teacher = ("--teacher", f"{FACTORY}:{inputs.weights}", "--teacher-args", ARGUMENTS)
        small = ("--student", student, "--student-args", '{"in_features": 192, "hidden": [4]}')
        fast = ("--epochs", "2", "--batch-size", "24", "--format", "safetensors", "--out", tmp_path / "small")
        return ganmc("compress", data, *teacher, *small, *fast, *options)

    return run


def test_folder_of_images(compress: Any, tmp_path: Path) -> None:
    outcome = compress("--baseline", "--no-flip", "--epochs", "6")
    assert outcome.status == 0, outcome.err
    names = {path.name for path in (tmp_path / "small").iterdir()}
    assert names == {"student.ckpt", "student.safetensors", "card.html", "card.json", "result.json", "runs"}
    result = json.loads((tmp_path / "small" / "result.json").read_text())
    assert result["command"].startswith("ganmc compress")
    counts = {"train_images": 87, "validation_images": 9, "test_images": 24}
    assert result["data"] == {"class_names": list(CLASSES), **counts}
    assert result["parameters"] == 192 * 4 + 4 + 4 * 3 + 3
    assert result["metrics"]["test/teacher/accuracy"] > 0.9
    assert f"{192 * 32 + 32 + 32 * 3 + 3:,}" in (tmp_path / "small" / "card.html").read_text()
    assert isinstance(load_network(str(tmp_path / "small" / "student.ckpt")), MLPClassifier)
    assert "6 epochs each, in " in outcome.out
    again = compress("--baseline", "--no-flip", "--epochs", "6")
    assert again.status == 0, again.err
    assert "epochs each" not in again.out
    changed = compress("--baseline", "--no-flip", "--epochs", "7")
    assert changed.status == 2
    assert "max_epochs was 6, got 7" in changed.err


def test_images_of_several_sizes_get_the_size_of_the_teacher(compress: Any, inputs: Inputs, tmp_path: Path) -> None:
    photos = shutil.copytree(inputs.photos, tmp_path / "photos")
    wide = next((photos / "left").glob("*.png"))
    with Image.open(wide) as image:
        image.resize((12, 10)).save(wide)
    refused = compress(data=photos)
    assert refused.status == 2
    assert "expected squares of one size" in refused.err
    assert "--image-size" in refused.err
    outcome = compress("--teacher-size", "8", data=photos)
    assert outcome.status == 0, outcome.err
    assert "images of several sizes, resized and cropped to 8 x 8 pixels" in outcome.out


@pytest.mark.parametrize(
    ("teacher", "arguments", "size"),
    [
        ("timm:resnet18:weights.pt", None, 224),
        ("timm:vit_tiny_patch16_224", {"img_size": 64}, 64),
        ("torchvision:inception_v3", None, 299),
        (FACTORY, None, None),
        ("teacher.pt", None, None),
    ],
)
def test_documented_size_of_a_teacher(teacher: str, arguments: dict[str, int] | None, size: int | None) -> None:
    if teacher.startswith("timm"):
        pytest.importorskip("timm")
    options = argparse.Namespace(teacher=teacher, teacher_args=arguments, teacher_size=None)
    assert find_teacher_size(options) == size


def test_all_formats(compress: Any, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    outcome = compress("--epochs", "1", "--format", "onnx,pt2,safetensors,int8")
    assert outcome.status == 0, outcome.err
    card = json.loads((tmp_path / "small" / "card.json").read_text())
    files = {file["format"]: file for file in card["files"]}
    assert list(files) == ["onnx", "pt2", "safetensors", "int8"]
    for file in files.values():
        assert (tmp_path / "small" / file["name"]).stat().st_size == file["bytes"]
    assert max(files[name]["max_difference"] for name in ("onnx", "pt2", "safetensors")) <= 1e-4
    assert isinstance(load_network(str(tmp_path / "small" / "student.pt2")), nn.Module)
    agreement = json.loads((tmp_path / "small" / "result.json").read_text())["metrics"][
        "train/student.int8.onnx/agreement"
    ]
    assert MIN_AGREEMENT <= agreement <= 1
    assert any(note.startswith(f"student.int8.onnx: {agreement:.2%} of ") for note in card["notes"])


def test_stored_images_are_filtered_by_the_teacher(compress: Any, inputs: Inputs, tmp_path: Path) -> None:
    stored = shutil.copytree(inputs.photos, tmp_path / "stored")
    outcome = compress("--epochs", "1", "--synthetic", stored)
    assert outcome.status == 0, outcome.err
    assert "student with synthetic images: validation accuracy" in outcome.out
    assert "synthetic: 33 images are validation or test images, and are not used" in outcome.out
    settings = json.loads((tmp_path / "small" / "result.json").read_text())["settings"]
    assert settings["synthesizers"][0].startswith("PooledSynthesizer(")
    assert "FilteredSynthesizer(confidence_quantile=0.3" in settings["synthesizers"][0]
    shutil.copy(stored / "left" / "0.png", stored / "left" / "3.png")  # another image of equal name
    outcome = compress("--epochs", "1", "--synthetic", stored)
    assert outcome.status == 2
    assert "other settings (synthesizers was" in outcome.err


def test_stored_images_with_a_teacher_of_classes_in_another_order(
    compress: Any, inputs: Inputs, tmp_path: Path
) -> None:
    state = torch.load(inputs.weights)["model_state_dict"]
    for name in ("classifier.weight", "classifier.bias"):
        state[name] = state[name][[2, 0, 1]]
    torch.save(state, tmp_path / "ordered.pt")
    teacher = ("--teacher", f"{FACTORY}:{tmp_path / 'ordered.pt'}", "--teacher-classes", "right,left,middle")
    outcome = compress("--epochs", "1", "--synthetic", inputs.photos, *teacher)
    assert outcome.status == 0, outcome.err
    assert outcome.out.count("teacher: outputs in another order than the classes of the data") == 1
    assert "student with synthetic images: validation accuracy" in outcome.out


def test_stored_images_that_do_not_fit_are_refused_before_the_training(
    compress: Any, inputs: Inputs, tmp_path: Path
) -> None:
    wrong = shutil.copytree(inputs.photos / "left", tmp_path / "wrong" / "right")
    shutil.copytree(inputs.photos / "right", tmp_path / "wrong" / "left")
    outcome = compress("--synthetic", wrong.parent)
    assert outcome.status == 2
    assert "--synthetic: teacher: predicts none of" in outcome.err
    outcome = compress("--synthetic", wrong)
    assert outcome.status == 2
    assert "--synthetic: got samples without labels, expected labeled samples" in outcome.err
    assert not (tmp_path / "small").exists()


Words = tuple[str | Path, ...]
"""Data set and options."""


def unlabeled_images(inputs: Inputs, folder: Path) -> Words:
    (folder / "more").mkdir()
    for index, pixels in enumerate(torch.randint(250, (20, 8, 8), dtype=torch.uint8)):
        Image.fromarray(pixels.numpy()).save(folder / "more" / f"{index}.png")
    return inputs.photos, "--unlabeled", folder / "more"


def generator(inputs: Inputs, folder: Path) -> Words:
    arguments = {"image_size": 8, "channels": 3, "latent_dim": 4, "width": 2}
    weights = DCGANGenerator(**arguments).state_dict()
    recipe = {"class_path": "ganmc_lightning.networks.DCGANGenerator", "init_args": arguments}
    content = {f"generator.{name}": value for name, value in weights.items()}
    torch.save({"state_dict": content, "hyper_parameters": {"generator": recipe}}, folder / "gan.ckpt")
    return inputs.photos, "--gan", folder / "gan.ckpt"


def larger_images(inputs: Inputs, folder: Path) -> Words:
    photos = shutil.copytree(inputs.photos, folder / "photos")
    for path in photos.glob("*/*.png"):
        with Image.open(path) as image:
            image.resize((16, 16), Image.Resampling.NEAREST).save(path)
    return photos, "--image-size", "8"


def probabilities(inputs: Inputs, folder: Path) -> Words:
    (folder / "probabilities.py").write_text(PROBABILITIES)
    return inputs.photos, "--teacher", f"probabilities:Probabilities:{inputs.weights}", "--teacher-probabilities"


def table_of_files(inputs: Inputs, folder: Path) -> Words:
    lines = [f"{path},{path.parent.name}" for path in sorted(inputs.photos.glob("*/*.png"))]
    (folder / "labels.csv").write_text("\n".join(["file,label", *lines]))
    return (folder / "labels.csv",)


PROBABILITIES = """
from ganmc_lightning.networks import MLPClassifier


class Probabilities(MLPClassifier):
    def forward(self, inputs):
        return super().forward(inputs).softmax(dim=1)
"""


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (unlabeled_images, "student with unlabeled images: validation accuracy"),
        (generator, "student with gan images: validation accuracy"),
        (("--gray",), "data: gray images, repeated in three channels for the teacher"),
        (larger_images, "teacher: accuracy 1.0000"),
        (probabilities, "teacher: accuracy 1.0000"),
        (table_of_files, "teacher: accuracy 1.0000"),
    ],
)
def test_options(
    options: Any, line: str, compress: Any, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    data, *words = options(inputs, tmp_path) if callable(options) else (inputs.photos, *options)
    outcome = compress("--epochs", "1", *words, data=data)
    assert outcome.status == 0, outcome.err
    assert line in outcome.out
    result = json.loads((tmp_path / "small" / "result.json").read_text())
    assert result["data"]["class_names"] == list(CLASSES)
    assert sum(result["data"][f"{split}_images"] for split in ("train", "validation", "test")) == 120
    assert result["sizes"].keys() == {"student.safetensors"}


def test_a_time_limit_reduces_the_epochs(compress: Any, tmp_path: Path) -> None:
    outcome = compress("--epochs", "1000000", "--time", "1")
    assert outcome.status == 0, outcome.err
    settings = json.loads((tmp_path / "small" / "result.json").read_text())["settings"]
    assert (settings["max_epochs"], settings["time"]) == (1_000_000, 1)
    assert 1 <= settings["epochs"] < 1000
    assert f"{settings['epochs']} epochs each" in outcome.out
    (metrics,) = (tmp_path / "small" / "runs").rglob("metrics.csv")
    assert max(int(row["epoch"]) for row in csv.DictReader(metrics.read_text().splitlines())) == settings["epochs"] - 1


def test_interruption_says_how_to_resume(compress: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ganmc_lightning.cli.compress_images.Acceleration.on_train_start", interrupt)
    outcome = compress()
    assert outcome.status == 130
    assert outcome.err.endswith("ganmc compress: interrupted; run the same command again to resume\n")
    monkeypatch.undo()
    assert compress().status == 0


def test_a_teacher_of_other_images_is_refused(compress: Any, tmp_path: Path) -> None:
    outcome = compress("--teacher-args", '{"in_features": 64, "hidden": [32]}')
    assert outcome.status == 2
    assert "layers.0.weight" in outcome.err or "shape" in outcome.err
    assert outcome.err.count("\n") == 1
    outcome = compress("--teacher-classes", "middle,left,right")
    assert outcome.status == 2
    assert "in another order it would be" in outcome.err
    outcome = compress("--teacher-classes", "up,left,right")
    assert outcome.status == 2
    assert "class 0 of its training data is 'up', expected 'left'" in outcome.err
    assert list(tmp_path.iterdir()) == []


SOFTMAX = """
from torch import nn


def build(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes), nn.Softmax(1))
"""


def test_advice_names_options(compress: Any, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "softmax.py").write_text(SOFTMAX)
    monkeypatch.syspath_prepend(tmp_path)
    softmax = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.Softmax(1))
    torch.save(softmax.state_dict(), tmp_path / "softmax.pt")
    teacher = ("--teacher", f"softmax:build:{tmp_path / 'softmax.pt'}", "--teacher-args", "{}")
    outcome = compress(*teacher)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert outcome.err.endswith("expected logits; remove its final softmax, or pass --teacher-probabilities\n")
    outcome = compress("--student-args", "{}", student="softmax:build")
    assert outcome.status == 2
    assert outcome.err.startswith("ganmc: --student (Sequential): returned probabilities")
    assert outcome.err.endswith("; remove its final softmax\n")
    shutil.rmtree(shutil.copytree(inputs.photos, tmp_path / "photos") / "left")
    outcome = compress(data=tmp_path / "photos")
    assert outcome.status == 2
    assert "expected 2 as in MLPClassifier; use data with these 3 classes" in outcome.err


def test_a_teacher_of_one_size(compress: Any, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model("vit_tiny_patch16_224", num_classes=3).state_dict(), tmp_path / "vit.pt")
    outcome = compress("--teacher", f"timm:vit_tiny_patch16_224:{tmp_path / 'vit.pt'}", "--teacher-args", "{}")
    assert outcome.status == 2
    assert "got images of 8 x 8 pixels, expected 224 x 224; pass --teacher-size 224 to resize them" in outcome.err
    assert outcome.out == (
        "data: images of 8 x 8 pixels, the library of the teacher documents 224 x 224; pass --teacher-size 224 unless "
        "the teacher was trained on 8 x 8 pixels\n"
    )
