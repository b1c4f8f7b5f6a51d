"""Number of epochs within a time limit."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from ganmc_lightning.compression import plan
from ganmc_lightning.compression.synthesis import SynthesisDuration
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import HintLoss, KnowledgeDistillationLoss

STAGES: Any = [SimpleNamespace(measured_as=name, text=name) for name in ("labels", "student", "student")]


@pytest.fixture(autouse=True)
def _durations(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"labels": 1.0, "student": 2.0}
    monkeypatch.setattr(plan, "measure_epoch", lambda stage, precision: seconds[stage.measured_as])


def test_networks_of_equal_weights_and_other_arguments_have_other_hashes() -> None:
    convolution = nn.Conv2d(1, 1, 3)
    networks = [nn.Sequential(convolution, layer) for layer in (nn.ReLU(), nn.Dropout(0.1), nn.Dropout(0.5))]
    assert len(set(map(plan.hash_network, networks))) == len(networks)
    assert plan.hash_network(copy.deepcopy(networks[0])) == plan.hash_network(networks[0])


def test_descriptions_of_losses_contain_layers_and_inner_losses() -> None:
    losses = [
        HintLoss([("0", "0")], logits_loss=KnowledgeDistillationLoss(2.0)),
        HintLoss([("0", "0")], logits_loss=KnowledgeDistillationLoss(8.0)),
        HintLoss([("0", "1")], logits_loss=KnowledgeDistillationLoss(8.0)),
    ]
    assert len(set(map(plan.describe_object, losses))) == len(losses)


@pytest.mark.parametrize(("seconds", "epochs"), [(None, 100), (53, 10), (10_000, 100), (6, 1)])
def test_epochs(seconds: float | None, epochs: int, tmp_path: Path) -> None:
    made = plan.make_plan(tmp_path, {"seed": 0}, STAGES, epochs=100, seconds=seconds, precisions=["32-true"])
    assert (made.epochs, made.seconds) == (epochs, 5.0 * epochs)
    assert plan.read_plan(tmp_path, {"seed": 0}) == made


def test_synthetic_samples_take_time(tmp_path: Path) -> None:
    drawn = [SynthesisDuration(start=40.0, epoch=3.0), SynthesisDuration(start=5.0, epoch=2.0)]
    arguments: Any = {"epochs": 100, "precisions": ["32-true"], "synthesis": drawn}
    made = plan.make_plan(tmp_path, {}, STAGES, seconds=None, **arguments)
    assert (made.epochs, made.seconds) == (100, 45 + 100 * (5 + 5))
    limited = plan.make_plan(tmp_path, {}, STAGES, seconds=100, **arguments)
    assert (limited.epochs, limited.seconds) == (5, 45 + 5 * 10)


@pytest.mark.parametrize(("factor", "chosen"), [(3.0, "32-true"), (0.97, "32-true"), (0.7, "bf16-mixed")])
def test_the_faster_precision_is_used(
    factor: float, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = {"32-true": 1.0, "bf16-mixed": factor}
    monkeypatch.setattr(plan, "measure_epoch", lambda stage, precision: factors[precision])
    made = plan.make_plan(tmp_path, {}, STAGES, epochs=1, seconds=None, precisions=["32-true", "bf16-mixed"])
    assert (made.precision, made.seconds) == (chosen, pytest.approx(3 * factors[chosen], abs=0.1))


def test_less_than_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--time: got 5 s, expected at least 5.26 s"):
        plan.make_plan(tmp_path, {}, STAGES, epochs=100, seconds=5, precisions=["32-true"])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (1800, "30 min"), (9000, "2.5 h")])
def test_description(seconds: float, text: str) -> None:
    made = plan.CompressionPlan({}, 10, "32-true", seconds)
    line = plan.describe_plan(made, STAGES)
    assert line == f"training: labels, student, student; 10 epochs each, in 32-true, about {text} in total"
