"""The parser of the training commands does no redundant work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ganmc_lightning.cli.training_parser import TrainingArgumentParser
from ganmc_lightning.data.datamodule import GANAugmentedDataModule
from ganmc_lightning.modules.base import CompressionModule

Ganmc = Callable[..., Any]


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_only_the_requested_subcommand_gets_arguments(
    command: str, ganmc: Ganmc, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = []
    add = TrainingArgumentParser.add_method_arguments

    def recorded(self: TrainingArgumentParser, theclass: type, themethod: str, *args: Any, **kwargs: Any) -> Any:
        methods.append(themethod)
        return add(self, theclass, themethod, *args, **kwargs)

    monkeypatch.setattr(TrainingArgumentParser, "add_method_arguments", recorded)
    assert ganmc(command, "--help", "full").status == 0
    assert methods == [command]


@pytest.mark.parametrize("run", ["teacher", "acgan"])
def test_dump_equals_that_of_a_validated_configuration(run: str, trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = TrainingArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(CompressionModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(GANAugmentedDataModule, "data")
    written = yaml.safe_load((getattr(trained, run) / "config.yaml").read_text())
    config = parser.parse_object({key: written[key] for key in ("model", "data")})
    validated = parser.dump(config, skip_none=False, skip_validation=False)
    assert yaml.safe_load(validated)["model"] == written["model"]
    assert yaml.safe_load(validated)["data"] == written["data"]

    validated_by: list[TrainingArgumentParser] = []
    validate = TrainingArgumentParser.validate

    def recorded(self: TrainingArgumentParser, *args: Any, **kwargs: Any) -> None:
        validated_by.append(self)
        validate(self, *args, **kwargs)

    monkeypatch.setattr(TrainingArgumentParser, "validate", recorded)
    assert parser.dump(config, skip_none=False) == validated
    assert not any(one is parser for one in validated_by)  # other parsers are validated for their defaults
    parser.dump(config, skip_none=False, skip_validation=False)
    assert any(one is parser for one in validated_by)
