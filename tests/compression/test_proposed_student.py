"""Compression to a proposed student, the default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.compression import LoadedSource, compress_classifier
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import load_network, propose_student
from ganmc_lightning.networks.profiling import count_parameters
from ganmc_lightning.networks.recipes import instantiate_network

FAST: dict[str, Any] = {"epochs": 1, "batch_size": 32, "flip": False, "formats": ()}


@pytest.mark.parametrize(("arguments", "smaller"), [({"smaller": 3}, 3), ({}, 10)])
def test_the_proposed_network_is_trained_and_can_be_loaded(
    gray: LoadedSource, convolutional: nn.Module, tmp_path: Path, arguments: dict[str, Any], smaller: float
) -> None:
    lines: list[str] = []
    made = compress_classifier(convolutional, gray, tmp_path / "out", **FAST, **arguments, report=lines.append)
    proposal = propose_student(convolutional, (1, 8, 8), 3, smaller)
    count = count_parameters(made.student)
    assert count == proposal.parameters
    assert count * smaller <= count_parameters(convolutional)
    assert any(line.startswith(f"student: {proposal.reference}, {count:,} parameters, ") for line in lines)

    path = tmp_path / "out" / "student.ckpt"
    recipe = torch.load(path, weights_only=True)["hyper_parameters"]["student"]
    assert recipe["init_args"] == {
        **{"reference": proposal.reference, "arguments": proposal.arguments},
        **{"num_classes": 3, "in_channels": 1},
    }
    assert count_parameters(instantiate_network(recipe, "recipe")) == count
    loaded = load_network(str(path), "student").eval()
    images = to_float_images(gray.splits.test.inputs)
    with torch.no_grad():
        assert torch.equal(loaded(images), made.student(images))


def test_a_complete_compression_of_another_factor_is_refused(
    gray: LoadedSource, convolutional: nn.Module, tmp_path: Path
) -> None:
    quiet = {**FAST, "report": lambda line: None}
    first = compress_classifier(convolutional, gray, tmp_path / "out", smaller=3, **quiet)
    assert compress_classifier(convolutional, gray, tmp_path / "out", smaller=3, **quiet).result == first.result
    with pytest.raises(ConfigurationError, match=r"other settings \(student differs\)"):
        compress_classifier(convolutional, gray, tmp_path / "out", smaller=10, **quiet)


def test_a_factor_that_no_network_meets_is_refused_before_the_training(
    gray: LoadedSource, convolutional: nn.Module, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"smaller: got 20, expected a smaller factor: .* at most 413"):
        compress_classifier(convolutional, gray, tmp_path / "out", smaller=20, **FAST)
    assert not (tmp_path / "out").exists()
