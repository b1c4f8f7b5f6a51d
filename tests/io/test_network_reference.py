"""References to networks: libraries, names, weights files, and texts that are paths."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.network_reference import is_reference, parse_reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torchvision:resnet18", ("torchvision", "resnet18", None)),
        ("timm:resnet18.a1_in1k", ("timm", "resnet18.a1_in1k", None)),
        ("timm:resnet18:weights.safetensors", ("timm", "resnet18", "weights.safetensors")),
        ("timm:resnet18:runs/12:30/w.pt", ("timm", "resnet18", "runs/12:30/w.pt")),
        ("hf:microsoft/resnet-18", ("hf", "microsoft/resnet-18", None)),
        ("hf:org/name:model.safetensors", ("hf", "org/name", "model.safetensors")),
        ("my_models:make", ("my_models", "make", None)),
        ("project.nets:Small.build:w.pt", ("project.nets", "Small.build", "w.pt")),
    ],
)
def test_parts(text: str, expected: tuple[str, str, str | None]) -> None:
    assert is_reference(text)
    assert parse_reference(text) == expected
    assert str(parse_reference(text)) == text


def test_folders_may_contain_colons(tmp_path):
    folder = tmp_path / "a:b"
    folder.mkdir()
    assert parse_reference(f"hf:{folder}") == ("hf", str(folder), None)
    assert parse_reference(f"hf:{folder}:w.bin") == ("hf", str(folder), "w.bin")


def test_an_existing_file_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_reference("timm:resnet18")
    (tmp_path / "timm:resnet18").touch()
    assert not is_reference("timm:resnet18")


@pytest.mark.parametrize(
    "text", ["", "teacher.pt", "runs/12:30/best.ckpt", "timm:", ":resnet18", "C:/models/a.pt", "my models:net", "a:b-c"]
)
def test_other_texts_are_refused(text):
    assert not is_reference(text)
    with pytest.raises(ConfigurationError, match="expected 'torchvision:NAME', 'timm:NAME'"):
        parse_reference(text)


@pytest.mark.parametrize("text", ["timm::w.pt", "timm:resnet18:", "hf:org/name:"])
def test_empty_parts_are_refused(text):
    with pytest.raises(ConfigurationError, match="WEIGHTS_FILE"):
        parse_reference(text)


def test_without_torch():
    code = "import sys, ganmc_lightning.io.network_reference; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_reference("timm:resnet18:~/weights.pt").weights == str(tmp_path / "weights.pt")
