"""The rows of a report, and the remarks without which they would mislead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ganmc_lightning.experiments.config import Experiment, Row
from ganmc_lightning.experiments.formatting import count, score
from ganmc_lightning.experiments.results import Results
from ganmc_lightning.experiments.statistics import Estimate, estimate

ONE_SEED = "n = 1: one seed, no interval; a difference between two such rows may be chance."
"""The note of a table with a value of one seed."""


@dataclass(frozen=True)
class ReportRow:
    """One line of the table with its numbers.

    Attributes:
        row: what the experiment file says of it.
        stage: the stage the numbers come from.
        split: "test", or "validation" for a stage that is not tested.
        values: one per seed.
        mean: over the seeds.
        candidates: mean validation value of each stage the row had to choose from; empty without a choice.
        steps: optimizer steps, the mean over seeds; None when a run does not say.
        parameters: of the trained network.
        flops: of one forward pass.
    """

    row: Row
    stage: str
    split: str
    values: tuple[float, ...]
    mean: Estimate
    candidates: Mapping[str, float]
    steps: int | None
    parameters: int | None
    flops: int | None

    @property
    def label(self) -> str:
        """The row's name with the stage that validation chose."""
        return f"{self.row.name}, chosen: {self.stage}" if self.candidates else self.row.name


def split_of(experiment: Experiment, stage: str) -> str:
    """Tell which split a stage's reported value comes from."""
    return "test" if experiment.stages[stage].test else "validation"


def metric_name(experiment: Experiment, stage: str, metric: str) -> str:
    """Return the full name of a stage's reported metric, such as ``test/accuracy``."""
    return f"{'test' if experiment.stages[stage].test else 'val'}/{metric}"


def values_of(experiment: Experiment, results: Results, stage: str) -> tuple[float, ...]:
    """Read a stage's reported value for every seed.

    Raises:
        ConfigurationError: a run lacks the metric.
    """
    name = metric_name(experiment, stage, experiment.metric)
    return tuple(run.value(name) for run in results[stage])


def make_rows(experiment: Experiment, results: Results) -> list[ReportRow]:
    """Compute all rows of the table.

    Raises:
        ConfigurationError: a run lacks the metric.
    """
    return [_make_row(experiment, results, row) for row in experiment.report.rows]


def several_seeds(means: Iterable[Estimate]) -> bool:
    """Tell whether a table has a mean over several seeds; only there does a cell of one seed say "(n = 1)"."""
    return any(mean.n > 1 for mean in means)


def _make_row(experiment: Experiment, results: Results, row: Row) -> ReportRow:
    candidates = {
        stage: fmean(run.value(f"val/{experiment.metric}") for run in results[stage])
        for stage in (row.stages if len(row.stages) > 1 else ())
    }
    stage = _choose(candidates, experiment.mode) if candidates else row.stages[0]
    values = values_of(experiment, results, stage)
    return ReportRow(
        row=row,
        stage=stage,
        split=split_of(experiment, stage),
        values=values,
        mean=estimate(values),
        candidates=candidates,
        steps=_mean_count([run.result.steps for run in results[stage]]),
        parameters=_mean_count([run.result.parameters for run in results[stage]]),
        flops=_mean_count([run.result.flops for run in results[stage]]),
    )


def _choose(validation: Mapping[str, float], mode: str) -> str:
    """Pick the best validation mean; the first of equals, and a diverged stage last of all."""
    sign = 1 if mode == "max" else -1
    return max(validation, key=lambda stage: sign * value if math.isfinite(value := validation[stage]) else -math.inf)


def _mean_count(counts: Sequence[int | None]) -> int | None:
    known = [number for number in counts if number is not None]
    return round(fmean(known)) if known and len(known) == len(counts) else None


def make_notes(experiment: Experiment, rows: Sequence[ReportRow], quick: bool) -> list[str]:
    """Say under the table what a fair reader must know: trust, budgets, choices, where numbers come from."""
    notes = []
    if quick:
        notes.append("Quick run with reduced settings: it shows that the chain works; its numbers mean nothing.")
    notes += _trust_notes(rows)
    notes += _step_notes(rows)
    notes += _choice_notes(experiment, rows)
    if any(row.row.paper is not None for row in rows):
        notes.append("Paper: the number printed there. Data, networks and budget can differ from ours.")
    return notes


def _trust_notes(rows: Sequence[ReportRow]) -> list[str]:
    notes = []
    sizes = sorted({row.mean.n for row in rows if row.mean.n > 1})
    if sizes:
        seeds = " or ".join(map(str, sizes))
        notes.append(
            f"± is the half-width of the 95 % Student-t interval of the mean over {seeds} seeds: "
            "the spread from training anew, not from drawing another test set."
        )
    if any(row.mean.n == 1 for row in rows):
        notes.append(ONE_SEED)
    lost = [row.label for row in rows if not math.isfinite(row.mean.mean)]
    return notes + [f"{label}: a run ended without a finite value, so there is no mean." for label in lost]


def _step_notes(rows: Sequence[ReportRow]) -> list[str]:
    """Compare the optimizer steps within each group."""
    notes = []
    groups: dict[str, list[ReportRow]] = {}
    for row in rows:
        groups.setdefault(row.row.step_budget_group, []).append(row)
    for group in groups.values():
        steps = {row.steps for row in group}
        if len(group) < 2 or steps == {None}:
            continue
        if len(steps) == 1:
            whose = "All rows" if len(groups) == 1 else f"All {len(group)} rows compared"
            notes.append(f"{whose} took the same number of optimizer steps: {count(group[0].steps)}.")
        else:
            each = "; ".join(f"{row.row.name} {count(row.steps)}" for row in group)
            notes.append(f"Unequal budgets: these rows differ in optimizer steps, compare with care: {each}.")
    return notes


def _choice_notes(experiment: Experiment, rows: Sequence[ReportRow]) -> list[str]:
    notes = []
    for row in rows:
        if row.candidates:
            each = ", ".join(f"{stage} {score(value)}" for stage, value in row.candidates.items())
            notes.append(
                f"{row.row.name}: {row.stage} was chosen on validation {experiment.metric} ({each}); "
                f"the {row.split} value shown was not used for the choice."
            )
    return notes
