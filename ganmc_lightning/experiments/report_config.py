"""Format of the section ``report`` of an experiment file: tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, model_validator
from pydantic.dataclasses import dataclass

from ganmc_lightning.experiments.comparison_config import PairedTest, RankTest
from ganmc_lightning.experiments.config_types import FORBID_EXTRA, KnownStage, ListOf, Number, Text
from ganmc_lightning.io.structured import key_error, suggestion


def _refuse_repeated_names(rows: Iterable[Row | TableRow]) -> None:
    for name, count in Counter(row.name for row in rows).items():
        if count > 1:
            raise key_error("rows", f"got {count} rows named {name!r}, expected distinct names")


@dataclass(config=FORBID_EXTRA, frozen=True)
class Row:
    """One row of the main table.

    Attributes:
        name: name of the method.
        stage: stage that provides the values.
        select_from: instead of ``stage``, candidates of which the one with the best validation metric is selected.
        paper: value in the paper, if any.
        source: table or figure of the paper with this value.
        step_budget_group: name of a group of rows that should have equal numbers of optimizer steps.
    """

    name: Text
    stage: KnownStage | None = None
    select_from: ListOf[KnownStage] = ()
    paper: Number | None = None
    source: str = ""
    step_budget_group: str = "rows"

    @property
    def stages(self) -> tuple[str, ...]:
        """The stage, or the candidates."""
        return self.select_from if self.stage is None else (self.stage,)

    @model_validator(mode="after")
    def _validate(self) -> Row:
        if (self.stage is None) == (not self.select_from):
            raise ValueError("expected either 'stage' or 'select_from'")
        return self


@dataclass(config=FORBID_EXTRA, frozen=True)
class TableColumn:
    """One metric of a table.

    Attributes:
        metric: metric name, read as ``test/<metric>``, or ``test/<model>/<metric>`` for a row with a model.
        label: heading (default: the metric).
        format: format of the values.
    """

    metric: Text
    label: str = ""
    format: Literal["number", "count", "bytes", "ratio"] = "number"

    @property
    def heading(self) -> str:
        """The label, or else the metric with blanks for underscores."""
        return self.label or self.metric.replace("_", " ")


@dataclass(config=FORBID_EXTRA, frozen=True)
class TableRow:
    """One row of a table of several metrics.

    Attributes:
        name: name of the method.
        stage: stage that provides the values.
        model: prefix of the row's metrics in the results of the stage, ``<model>/<metric>``; empty without prefix.
        stage_of: metric -> stage that provides this metric instead, without the prefix ``model``. For example, the
            accuracy of a student beside the scores of the GAN that generated its training samples.
        paper: metric -> value in the paper.
        join: label of the line that joins the row's point with others in scatter plots, such as ``MSE``; empty for
            none.
    """

    name: Text
    stage: KnownStage
    model: str = ""
    stage_of: dict[str, KnownStage] = field(default_factory=dict)
    paper: dict[str, Number] = field(default_factory=dict)
    join: str = ""

    @property
    def stages(self) -> tuple[str, ...]:
        """All stages that provide values."""
        return self.stage, *self.stage_of.values()

    def source_of(self, metric: str) -> tuple[str, str]:
        """Return the stage of a metric, and its name among the results of this stage."""
        if metric in self.stage_of:
            return self.stage_of[metric], metric
        return self.stage, f"{self.model}/{metric}" if self.model else metric


@dataclass(config=FORBID_EXTRA, frozen=True)
class Scatter:
    """A scatter plot of a table's rows.

    A row with a y value but no x value, such as real data in a plot over parameters, is plotted as a dashed line.

    Attributes:
        title: caption.
        x, y: metrics, both columns of the table.
        log_x: whether the horizontal axis is logarithmic.
    """

    title: Text
    x: str
    y: str
    log_x: StrictBool = False


@dataclass(config=FORBID_EXTRA, frozen=True)
class MetricTable:
    """A table of several metrics, shown below the main table.

    Attributes:
        title: caption.
        columns: metrics of the table.
        rows: rows of the table.
        source: table or figure of the paper with these values.
        note: remark shown below the table.
        scatter: scatter plots of the table.
    """

    title: Text
    columns: Annotated[ListOf[TableColumn], Field(min_length=1)]
    rows: Annotated[ListOf[TableRow], Field(min_length=1)]
    source: str = ""
    note: str = ""
    scatter: ListOf[Scatter] = ()

    @model_validator(mode="after")
    def _validate(self) -> MetricTable:
        metrics = [column.metric for column in self.columns]
        _refuse_repeated_names(self.rows)
        used = [(f"rows[{i}].paper", metric) for i, row in enumerate(self.rows) for metric in row.paper]
        used += [(f"rows[{i}].stage_of", metric) for i, row in enumerate(self.rows) for metric in row.stage_of]
        for i, scatter in enumerate(self.scatter):
            used += [(f"scatter[{i}].x", scatter.x), (f"scatter[{i}].y", scatter.y)]
        for key, metric in used:
            if metric not in metrics:
                raise key_error(key, f"'{metric}' is not a column of the table, {suggestion(metric, metrics)}")
        return self


@dataclass(config=FORBID_EXTRA, frozen=True)
class ResultCurves:
    """A figure of several curves that a stage recorded in its ``result.json``.

    Attributes:
        title: caption.
        x_label, y_label: labels of the axes.
        stage: stage that recorded the curves.
        curves: label -> name of a curve in the result's ``curves``.
        baselines: label -> test metric, plotted as a dashed line.
    """

    title: Text
    x_label: Text
    y_label: Text
    stage: KnownStage
    curves: Annotated[dict[str, str], Field(min_length=1)]
    baselines: dict[str, str] = field(default_factory=dict)


@dataclass(config=FORBID_EXTRA, frozen=True)
class Sweep:
    """A figure of the experiment's metric over a setting.

    Attributes:
        x_label: name of the setting.
        x_to_stage: value of the setting -> stage.
        title: caption.
        baselines: stages plotted as dashed lines.
    """

    x_label: Text
    x_to_stage: Annotated[
        dict[Number, KnownStage], Field(min_length=1), AfterValidator(lambda stages: dict(sorted(stages.items())))
    ]
    title: str = "Sweep"
    baselines: ListOf[KnownStage] = ()


@dataclass(config=FORBID_EXTRA, frozen=True)
class LearningCurves:
    """Figures of columns of ``metrics.csv`` over the epochs, one per column.

    Attributes:
        stages: stages, or names of rows, with one line per stage.
        title: caption of all figures.
        columns: column names such as ``train/loss`` (default: the metric and the cross-entropy of the validation split,
            which is comparable between all methods).
    """

    stages: Annotated[ListOf[str], Field(min_length=1)]
    title: str = "Learning curves"
    columns: ListOf[str] = ()


@dataclass(config=FORBID_EXTRA, frozen=True)
class StudentCard:
    """A card of ``ganmc card`` that compares a student with its teacher and with baselines, for the first seed.

    Attributes:
        stage: stage of the student.
        baselines: stages of other classifiers of the same data.
    """

    stage: KnownStage
    baselines: ListOf[KnownStage] = ()


@dataclass(config=FORBID_EXTRA, frozen=True)
class ReportConfig:
    """The tables and figures of the report.

    Attributes:
        rows: rows of the main table, which compares methods by the experiment's metric.
        paired_tests: tests of pairs of models over data sets.
        rank_tests: tests of the ranks of several models over data sets.
        tables: tables of several metrics.
        sweep: figures of the metric over a setting.
        learning_curves: figures over the epochs.
        result_curves: figures of curves from a ``result.json``.
        sample_grids: stages with their latest sample grid in the report.
        cards: cards of students, linked from the report.
    """

    rows: ListOf[Row] = ()
    paired_tests: ListOf[PairedTest] = ()
    rank_tests: ListOf[RankTest] = ()
    tables: ListOf[MetricTable] = ()
    sweep: ListOf[Sweep] = ()
    learning_curves: ListOf[LearningCurves] = ()
    result_curves: ListOf[ResultCurves] = ()
    sample_grids: ListOf[KnownStage] = ()
    cards: ListOf[StudentCard] = ()

    @model_validator(mode="after")
    def _validate(self, info: ValidationInfo) -> ReportConfig:
        _refuse_repeated_names(self.rows)
        names = [*(info.context or {}).get("stages", ()), *(row.name for row in self.rows)]
        for i, curves in enumerate(self.learning_curves):
            for name in curves.stages:
                if name not in names:
                    raise key_error(
                        f"learning_curves[{i}].stages", f"unknown stage '{name}', {suggestion(name, names)}"
                    )
        return self
