"""Schema of ``result.json``, written by every command that trains or evaluates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.format_version import check_format_version
from ganmc_lightning.io.structured import read_json, validate

Number = Annotated[float, Field(strict=True), BeforeValidator(lambda value: float("nan") if value is None else value)]
"""A float; NaN is null in JSON."""
Count = Annotated[int, Field(strict=True, ge=0)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class RunResult:
    """Result of one run.

    Attributes:
        format_version: version of the format; 0 for a file without version.
        command: full command line, ``ganmc ...``.
        seed: random seed of the run.
        metrics: ``<split>/<metric>`` -> value; with several models ``<split>/<model>/<metric>``.
        train_seconds: training time; for commands that do not train, their run time.
        steps: optimizer steps of the trained network.
        parameters: number of parameters of the trained network.
        flops: floating-point operations of one forward pass on one sample.
        device: ``"cpu"`` or the name of the GPU.
        precision: precision of the training, as in Lightning's ``Trainer``; None for commands that do not train.
        curves: name -> {count: value}, except learning curves, which are in ``metrics.csv``.
        settings: settings of the command that are not in ``config.yaml``.
        data: description of the data set.
        sizes: metric as a function of model size.
        costs: size and prediction time as functions of model size.
    """

    format_version: Count = 0
    command: str = ""
    seed: int | None = None
    metrics: Mapping[str, Number] = Field(default_factory=dict)
    train_seconds: Number = 0.0
    steps: Count | None = None
    parameters: Count | None = None
    flops: Count | None = None
    device: str = "cpu"
    precision: str | None = None
    curves: Mapping[str, Mapping[int, Number]] = Field(default_factory=dict)
    settings: Mapping[str, Any] = Field(default_factory=dict)
    data: Mapping[str, Any] = Field(default_factory=dict)
    sizes: Mapping[str, Any] = Field(default_factory=dict)
    costs: Mapping[str, Any] = Field(default_factory=dict)


def read_run_result(path: Path) -> RunResult | None:
    """Read a ``result.json``; return None if it does not exist.

    Raises:
        ConfigurationError: the file is not a JSON object, a key or value is invalid, or a newer release wrote it.
    """
    content = read_json(path)
    if content is None and path.exists():
        raise ConfigurationError(f"{path}: not a JSON object; remove the file and run the command again")
    if content is None:
        return None
    check_format_version(content, path)
    return validate(RunResult, content, path)
