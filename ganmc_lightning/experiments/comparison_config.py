"""Format of statistical tests over data sets in the section ``report`` of an experiment file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from ganmc_lightning.experiments.config_types import FORBID_EXTRA, KnownStage, ListOf, Number, Text
from ganmc_lightning.io.structured import key_error, suggestion

DataSets = Annotated[ListOf[KnownStage], Field(min_length=2)]
"""Stages, one per data set."""
Tie = Annotated[Number, Field(ge=0)]


@dataclass(config=FORBID_EXTRA, frozen=True)
class ModelPair:
    """Two models of every data set.

    Attributes:
        name: name of the pair in the table and in the conclusion.
        model: prefix of the metrics of the first model, ``<model>/<metric>``.
        baseline: prefix of the metrics of the model that it is compared with.
    """

    name: Text
    model: Text
    baseline: Text


@dataclass(config=FORBID_EXTRA, frozen=True)
class PairedTest:
    """Wilcoxon signed-rank tests of pairs of models over data sets (Demsar 2006, section 3.1.3).

    Attributes:
        title: caption.
        subject: what distinguishes the first model of a pair from the second, as subject of the conclusion; empty for
            no conclusion.
        metric: metric of which higher values are better.
        label: name of the metric (default: the metric).
        stages: stages, one per data set.
        pairs: pairs of models.
        tie: largest difference that counts as a tie (default: 0.001).
    """

    title: Text
    metric: Text
    stages: DataSets
    pairs: Annotated[ListOf[ModelPair], Field(min_length=1)]
    subject: str = ""
    label: str = ""
    tie: Tie = 0.001


@dataclass(config=FORBID_EXTRA, frozen=True)
class RankTest:
    """Friedman and Nemenyi tests of several models over data sets (Demsar 2006, section 3.2.2).

    Attributes:
        title: caption.
        metric: metric of which higher values are better.
        label: name of the metric (default: the metric).
        stages: stages, one per data set.
        models: name -> prefix of the metrics of the model, ``<model>/<metric>``.
        baseline: name of the model that wins, ties and losses of the others refer to.
        tie: largest difference that counts as a tie (default: 0.001).
    """

    title: Text
    metric: Text
    stages: DataSets
    models: Annotated[dict[str, Text], Field(min_length=3)]
    baseline: Text
    label: str = ""
    tie: Tie = 0.001

    @model_validator(mode="after")
    def _validate(self) -> RankTest:
        if self.baseline not in self.models:
            raise key_error("baseline", f"unknown model '{self.baseline}', {suggestion(self.baseline, self.models)}")
        return self
