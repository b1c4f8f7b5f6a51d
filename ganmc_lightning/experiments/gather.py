"""What the runs left behind, read into typed values."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.io.structured import read_json

Series = dict[int, float]
"""Epoch, or another count -> value."""


@dataclass(frozen=True)
class RunResult:
    """One finished run.

    Attributes:
        stage: name of the stage.
        seed: its seed.
        folder: its run folder.
        validation: metrics of the best checkpoint on the validation split.
        test: its metrics on the test split; empty when it was not tested.
        iterations: optimizer steps taken (of the student or generator), if recorded.
        seconds: training time.
        parameters: of the network that was trained, if recorded.
        flops: of one forward pass of it on one sample, if recorded.
        device: what it was trained on, "cpu" or the name of a GPU.
        curves: values over a count that the run recorded itself, by name.
    """

    stage: str
    seed: int
    folder: Path
    validation: Mapping[str, float]
    test: Mapping[str, float]
    iterations: int | None
    seconds: float
    parameters: int | None
    flops: int | None
    device: str
    curves: Mapping[str, Series] = field(default_factory=dict)

    def value(self, split: str, metric: str) -> float:
        """Read ``val/<metric>`` (split "validation") or ``test/<metric>`` (split "test").

        ``error`` is 1 - ``accuracy``, and ``parameters`` and ``flops`` are those of the trained network, where the
        run has no metric of that name itself.

        Raises:
            ConfigurationError: the run has no such metric.
        """
        found = self._find(split, metric)
        if found is None:
            recorded, prefix = self._recorded(split)
            have = ", ".join(sorted(recorded)) or "none"
            fix = "set 'metric' in the experiment file"
            raise ConfigurationError(f"{self.folder / 'result.json'}: no '{prefix}/{metric}' (it has: {have}); {fix}")
        return found

    def has(self, split: str, metric: str) -> bool:
        """Tell whether :meth:`value` would find something."""
        return self._find(split, metric) is not None

    def curve(self, name: str) -> Series:
        """Read one of the curves that the run recorded itself.

        Raises:
            ConfigurationError: it has none of that name.
        """
        if name not in self.curves:
            have = ", ".join(sorted(self.curves)) or "none"
            raise ConfigurationError(f"{self.folder / 'result.json'}: no curve '{name}' (it has: {have})")
        return self.curves[name]

    def _find(self, split: str, metric: str) -> float | None:
        recorded, prefix = self._recorded(split)
        if f"{prefix}/{metric}" in recorded:
            return recorded[f"{prefix}/{metric}"]
        if metric == "error" and f"{prefix}/accuracy" in recorded:
            return 1 - recorded[f"{prefix}/accuracy"]
        return {"parameters": self.parameters, "flops": self.flops}.get(metric)

    def _recorded(self, split: str) -> tuple[Mapping[str, float], str]:
        """The metrics of a split and what their names begin with."""
        return (self.test, "test") if split == "test" else (self.validation, "val")


Results = dict[str, list[RunResult]]
"""Stage -> its runs, one per seed."""


def gather(runs: Sequence[PlannedRun]) -> Results:
    """Read the results of finished runs.

    Raises:
        ConfigurationError: a result is missing or malformed.
    """
    results: Results = defaultdict(list)
    for run in runs:
        results[run.stage].append(read_result(run))
    return dict(results)


def read_result(run: PlannedRun) -> RunResult:
    """Read one run's ``result.json``.

    Raises:
        ConfigurationError: it is missing or malformed.
    """
    file = run.folder / "result.json"
    content = read_json(file)
    if content is None:
        problem = "is not a JSON object; remove it and" if file.exists() else "is missing;"
        raise ConfigurationError(
            f"{file}: {problem} run the same command to continue this stage from its last checkpoint"
        )
    return RunResult(
        stage=run.stage,
        seed=run.seed,
        folder=run.folder,
        validation=_metrics(file, content, "validation"),
        test=_metrics(file, content, "test"),
        iterations=_count(file, content, "iterations"),
        seconds=_number(file, "seconds", content.get("seconds", 0.0)),
        parameters=_count(file, content, "parameters"),
        flops=_count(file, content, "flops"),
        device=str(content.get("device", "cpu")),
        curves=_curves(file, content),
    )


def _metrics(file: Path, content: Mapping[str, object], key: str) -> dict[str, float]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise ConfigurationError(f"{file}: '{key}' must map metric names to numbers, found {value!r}")
    return {str(name): _number(file, f"{key}.{name}", number) for name, number in value.items()}


def _curves(file: Path, content: Mapping[str, object]) -> dict[str, Series]:
    curves = content.get("curves") or {}
    if not isinstance(curves, dict) or not all(isinstance(series, dict) for series in curves.values()):
        raise ConfigurationError(f"{file}: 'curves' must map names to mappings of counts to numbers")
    try:
        return {
            str(name): {int(x): _number(file, f"curves.{name}", y) for x, y in series.items()}
            for name, series in curves.items()
        }
    except ValueError as error:
        raise ConfigurationError(f"{file}: 'curves' has a count that is no whole number ({error})") from None


def _number(file: Path, key: str, value: object) -> float:
    """Read a number; null is how strict JSON spells NaN."""
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{file}: '{key}' must be a number, found {value!r}")
    return float(value)


def _count(file: Path, content: Mapping[str, object], key: str) -> int | None:
    value = content.get(key)
    return None if value is None else round(_number(file, key, value))


def read_curves(file: Path) -> dict[str, Series]:
    """Read ``metrics.csv``: the mean of the non-empty cells of every column and epoch.

    Args:
        file: a table with a column ``epoch``; other cells may be empty, and one epoch may have many rows.

    Returns:
        Column -> epoch -> value; empty when there is no such file.
    """
    cells: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                epoch = _cell(row.get("epoch"))
                if epoch is None:
                    continue
                for column, text in row.items():
                    value = _cell(text)
                    if value is not None and column not in ("epoch", "step"):
                        cells[column][int(epoch)].append(value)
    except FileNotFoundError:
        return {}
    return {
        column: {epoch: fmean(values) for epoch, values in sorted(series.items())} for column, series in cells.items()
    }


def _cell(text: object) -> float | None:
    """Read a cell; None for an empty one and for what is no number (a line cut off, an overlong row)."""
    try:
        return float(text) if isinstance(text, str) else None
    except ValueError:
        return None


def latest_sample_grid(folder: Path) -> Path | None:
    """Find the last picture of a run's ``samples`` folder (names sort by epoch); None without one."""
    return max((folder / "samples").glob("*.png"), default=None)
