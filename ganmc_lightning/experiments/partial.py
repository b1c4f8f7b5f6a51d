"""Restrict an experiment to some of its stages: those that are selected, or those that have a result."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import TypeVar

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.results import common_seeds
from ganmc_lightning.io.structured import suggestion

T = TypeVar("T")


def select_stages(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """Return the experiment with the named stages and all stages that they need, in the order of the file.

    Args:
        experiment: the experiment.
        names: names of stages.

    Raises:
        ConfigurationError: the experiment has no stage of a name.
    """
    for name in names:
        if name not in experiment.stages:
            raise ConfigurationError(f"--stages: got {name!r}, {suggestion(name, experiment.stages)}")
    selected = set(names)
    for name, stage in reversed(experiment.stages.items()):  # a stage is listed after those that it needs
        if name in selected:
            selected.update(stage.needs)
    return _update(drop_missing(experiment, dict.fromkeys(selected, experiment.seeds)), duration=None)


def drop_missing(experiment: Experiment, available: Mapping[str, Collection[int]]) -> Experiment:
    """Return the experiment without the stages, rows and figures that are not available.

    A row of several stages is dropped if one of them is missing, because its selection could differ, or if no seed has
    a result of all.

    Args:
        experiment: the experiment.
        available: stage -> seeds of its results, for the stages with a result.
    """
    report = experiment.report
    complete = [row for row in report.rows if all(stage in available for stage in row.stages)]
    rows = tuple(row for row in complete if common_seeds(experiment, row.stages, available))
    known = {row.name for row in rows} | {stage for stage in experiment.stages if stage in available}
    tables = [
        _update(table, rows=tuple(row for row in table.rows if all(stage in available for stage in row.stages)))
        for table in report.tables
    ]
    sweeps = [
        _update(
            sweep,
            x_to_stage={x: stage for x, stage in sweep.x_to_stage.items() if stage in available},
            baselines=tuple(stage for stage in sweep.baselines if stage in available),
        )
        for sweep in report.sweep
    ]
    paired_tests, rank_tests = (
        [_update(test, stages=tuple(stage for stage in test.stages if stage in available)) for test in tests]
        for tests in (report.paired_tests, report.rank_tests)
    )
    sweeps = [  # a line needs two points; one of a single point in the file is kept
        sweep
        for sweep, whole in zip(sweeps, report.sweep, strict=True)
        if sweep.x_to_stage and (len(sweep.x_to_stage) > 1 or len(whole.x_to_stage) == 1)
    ]
    curves = [_update(c, stages=tuple(name for name in c.stages if name in known)) for c in report.learning_curves]
    report = _update(
        report,
        rows=rows,
        paired_tests=tuple(test for test in paired_tests if len(test.stages) > 1),
        rank_tests=tuple(test for test in rank_tests if len(test.stages) > 1),
        tables=tuple(t for t in tables if t.rows),
        sweep=tuple(sweeps),
        learning_curves=tuple(c for c in curves if c.stages),
        result_curves=tuple(figure for figure in report.result_curves if figure.stage in available),
        sample_grids=tuple(stage for stage in report.sample_grids if stage in available),
        cards=tuple(
            _update(card, baselines=tuple(stage for stage in card.baselines if stage in available))
            for card in report.cards
            if card.stage in available
        ),
    )
    stages = {name: stage for name, stage in experiment.stages.items() if name in available}
    return _update(experiment, stages=stages, report=report)


def _update(value: T, **changes: object) -> T:
    """Return a copy with other attributes, without validation, because the report may be empty."""
    changed = copy(value)
    vars(changed).update(changes)
    return changed
