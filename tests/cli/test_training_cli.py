"""What the parser of the training commands does not do twice, or for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ganmc_lightning.cli.training_cli import TrainingArgumentParser
from ganmc_lightning.data.datamodule import GANAugmentedDataModule
from ganmc_lightning.modules.base import CompressionModule

Ganmc = Callable[..., Any]


@pytest.mark.parametrize("verb", ["fit", "predict"])
def test_only_the_verb_at_hand_gets_arguments(verb: str, ganmc: Ganmc, monkeypatch: pytest.MonkeyPatch) -> None:
    verbs = []
    add = TrainingArgumentParser.add_method_arguments

    def watched(self: TrainingArgumentParser, theclass: type, themethod: str, *args: Any, **kwargs: Any) -> Any:
        verbs.append(themethod)
        return add(self, theclass, themethod, *args, **kwargs)

    monkeypatch.setattr(TrainingArgumentParser, "add_method_arguments", watched)
    assert ganmc(verb, "--help").status == 0
    assert verbs == [verb]


@pytest.mark.parametrize("run", ["teacher", "acgan"])
def test_a_dump_is_that_of_a_validated_configuration(run: str, trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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

    def watched(self: TrainingArgumentParser, *args: Any, **kwargs: Any) -> None:
        validated_by.append(self)
        validate(self, *args, **kwargs)

    monkeypatch.setattr(TrainingArgumentParser, "validate", watched)
    assert parser.dump(config, skip_none=False) == validated
    assert not any(one is parser for one in validated_by)  # it asks parsers of its own for defaults
    parser.dump(config, skip_none=False, skip_validation=False)
    assert any(one is parser for one in validated_by)
