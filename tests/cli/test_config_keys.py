"""Slips that are reported before PyTorch is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganmc_lightning.cli.config_keys import KEYS, KEYS_OF_COMMAND, check_config_keys
from ganmc_lightning.exceptions import ConfigurationError

ROOT = Path(__file__).parents[2]
CONFIGS = [path for path in sorted(ROOT.glob("configs/*/*.yaml")) if not path.name.endswith(".experiment.yaml")]
STUDIES = ("forest", "tabular_study")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("trainr: {max_epochs: 1}", "trainr: unknown key, did you mean 'trainer'?"),
        ("trainer: {max_epoch: 1}", "trainer.max_epoch: unknown key, did you mean 'max_epochs'?"),
        ("data: {pfake: 1}", "data.pfake: unknown key, did you mean 'p_fake'?"),
        ("checkpoint: {moniter: a}", "checkpoint.moniter: unknown key, did you mean 'monitor'?"),
        ("acceleration: {compiler: off}", "acceleration.compiler: unknown key, did you mean 'compile'?"),
        (
            "model: {class_path: ganmc_lightning.modules.ClasifierModule}",
            "model.class_path: ganmc_lightning.modules.ClasifierModule: ganmc_lightning.modules has no "
            "'ClasifierModule', did you mean 'ClassifierModule'?",
        ),
        ("checkpoint: null", "checkpoint: got null, expected a mapping with keys of: dirpath, monitor"),
        ("model: [1]", "model: got [1], expected a mapping with keys of: class_path, init_args"),
        ("data: {dataset: ganmc_lightning.data.datasets.Digit}", "has no 'Digit', did you mean 'Digits'?"),
        ("data: {dataset: ganmc_lightning.data.dataset.Digits}", "has no 'dataset', did you mean 'datasets'?"),
        (
            "model: {class_path: ganmc_lightning.networks.MLPClassifier, init_args: {hiddn: [3]}}",
            "model.init_args.hiddn: unknown argument of ganmc_lightning.networks.MLPClassifier, did you mean 'hidden'?",
        ),
        (
            "model: {init_args: {teacher: {class_path: ganmc_lightning.networks.load_network, "
            "init_args: {path: a/best.ckpt}}}}",
            "model.init_args.teacher.init_args.path: a/best.ckpt not found, expected the checkpoint of an earlier run",
        ),
    ],
)
def test_invalid_files(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(content)
    with pytest.raises(ConfigurationError) as error:
        check_config_keys(["fit", "--config", str(file)])
    assert str(error.value).startswith(f"{file}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fit --trainr.max_epochs 3", "--trainr.max_epochs: unknown option, did you mean '--trainer'?"),
        ("fit --trainer.max_epoch=3", "--trainer.max_epoch: unknown key, did you mean 'max_epochs'?"),
        ("fit --data.pfake 0.1", "--data.pfake: unknown key, did you mean 'p_fake'?"),
        ("fit --checkpoint null", "--checkpoint: got null, expected a mapping with keys of: dirpath, monitor"),
        ("fit --trainer=null", "--trainer: got null, expected a mapping with keys of: accelerator"),
        ("fit --verbose true", "--verbose: unknown option, expected one of: trainer, data"),
        (
            "fit --model ganmc_lightning.modules.GANModul",
            "--model: ganmc_lightning.modules.GANModul: ganmc_lightning.modules has no 'GANModul', "
            "did you mean 'GANModule'?",
        ),
        ("fit --data.dataset=ganmc_lightning.data.datasets.Cifar10", "did you mean 'CIFAR10'?"),
    ],
)
def test_invalid_options(words: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        check_config_keys(words.split())
    assert message in str(error.value)


@pytest.mark.parametrize(
    "words",
    [
        "fit --trainer.callbacks+ ganmc_lightning.callbacks.SampleGrid --trainer.callbacks.columns 3",
        "fit --model.help ClassifierModule",
        "fit --print_config",
        "fit --data data.yaml --import my.module",
        "validate --verbose false",
        "fit --model my_module.Network --model.init_args.depth 3",
        "fit --model.init_args.loss ganmc_lightning.losses.L2LogitsLoss",
        "fit --config {trainer:{max_epochs:1}}",
    ],
)
def test_valid_options(words: str) -> None:
    check_config_keys(words.split())


def test_a_checkpoint_may_be_given_by_an_option_or_a_reference(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    loader = "{{teacher: {{class_path: ganmc_lightning.networks.load_network, init_args: {{path: {path}}}}}}}"
    file.write_text(f"model: {loader.format(path='a.ckpt')}")
    check_config_keys(["fit", "--config", str(file), "--model.teacher.init_args.path", "b.ckpt"])
    file.write_text(f"model: {loader.format(path='timm:resnet18')}")
    check_config_keys(["fit", "--config", str(file)])


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_shipped_configurations_are_valid(file: Path) -> None:
    if not file.stem.startswith(STUDIES):  # with other keys
        check_config_keys(["test", "--config", str(file)])


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_keys_are_those_of_the_parser(ganmc: Callable[..., Any], configs: Any, command: str) -> None:
    outcome = ganmc(command, "--config", configs.teacher, "--print_config")
    assert outcome.status == 0
    assert set(yaml.safe_load(outcome.out)) == {*KEYS, *KEYS_OF_COMMAND.get(command, ())}
