"""The experiment file format: stages, one command line each, and the report of their results."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationInfo,
    model_validator,
)
from pydantic.dataclasses import dataclass

from ganmc_lightning.experiments.references import OWN, references, stage_paths
from ganmc_lightning.io.structured import key_error, load_yaml_mapping, shorten, suggestion, validate

_FORBID_EXTRA = ConfigDict(extra="forbid")
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _folder_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"got {name!r}, expected letters, digits, '_' and '-' (it becomes a folder name)")
    return name


def _stage_name(name: str) -> str:
    if name == "figures" or name in OWN:
        meaning = "folder of the report's figures" if name == "figures" else f"placeholder {{{name}}}"
        raise ValueError(f"reserved for the {meaning}; choose another stage name")
    return _folder_name(name)


def _known_stage(name: str, info: ValidationInfo) -> str:
    stages = (info.context or {}).get("stages", [name])
    if name not in stages:
        raise ValueError(f"unknown stage '{name}', {suggestion(name, stages)}")
    return name


def _config_file(name: object, info: ValidationInfo) -> object:
    """Resolve a path relative to the folder of the experiment file."""
    if not isinstance(name, str):
        return name
    path = Path((info.context or {}).get("folder", "."), name)
    if not path.is_file():
        raise ValueError(f"file not found: {path}")
    return path


def _words(command: object) -> tuple[str, ...]:
    """Split a command line before its placeholders are filled in, because a folder name may contain blanks."""
    if not isinstance(command, str):
        raise ValueError(f"got {shorten(command)}, expected text")
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise ValueError(f"got {shorten(command)}, expected a command line ({error})") from None


def _no_repeats(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"got {list(seeds)}, expected distinct seeds")
    return seeds


Text = Annotated[str, Field(min_length=1)]
KnownStage = Annotated[str, AfterValidator(_known_stage)]
ConfigFile = Annotated[Path, BeforeValidator(_config_file)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
ListOf = Annotated[tuple[T, ...], BeforeValidator(_as_list)]


@dataclass(config=_FORBID_EXTRA)
class Stage:
    """One run per seed: a training, or another command that writes a ``result.json``.

    Attributes:
        configs: files passed to ``fit``, later ones override earlier ones. Key ``config``. A command has one at most,
            as ``{config}``.
        overrides: dotted keys and values that override the files; a string may contain ``{stage}``.
        quick: further overrides of a quick run, with precedence over the experiment's own.
        needs: stages that must be complete before: those listed here and those that a ``{stage}`` or a path of a
            config file names.
        test: whether ``fit`` is followed by ``test``, and the report shows test metrics.
        command: words of another command than ``fit``. They may contain ``{stage}``, and ``{run_dir}``, ``{seed}``
            and ``{config}`` for the run's own folder, seed and configuration file. Key ``run``; empty for a training.
        quick_command: words that a quick run appends to the command.
        shared: whether the stage runs once, with the experiment's first seed, for the stages of all seeds.
        name: the stage's key in the file, also the name of its folder.
    """

    configs: Annotated[ListOf[ConfigFile], Field(alias="config")] = ()
    overrides: dict[str, Any] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)
    needs: ListOf[str] = ()
    test: StrictBool = True
    command: Annotated[Words, Field(alias="run")] = ()
    quick_command: Words = ()
    shared: StrictBool = False
    name: str = field(init=False, default="")

    @model_validator(mode="before")
    @classmethod
    def _quick_of_a_command(cls, value: Any) -> Any:
        if isinstance(value, dict) and "run" in value and "quick" in value:
            return {"quick_command" if key == "quick" else key: item for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _validate(self) -> Stage:
        if not self.command and not self.configs:
            raise key_error("config", "required key is missing")
        if self.command and len(self.configs) > 1:
            raise key_error("config", "got several files, expected at most one next to 'run'")
        if self.command and self.overrides:
            raise key_error("overrides", "unexpected key next to 'run'")
        return self


@dataclass(config=_FORBID_EXTRA, frozen=True)
class Row:
    """One row of the main table.

    Attributes:
        name: method, as shown.
        stage: stage whose results are shown.
        best_of: instead of ``stage``, the candidates from which the validation metric selects.
        paper: value printed in the paper, if any.
        source: where that value is printed.
        step_budget_group: rows of one group are compared and must have taken equally many optimizer steps.
    """

    name: Text
    stage: KnownStage | None = None
    best_of: ListOf[KnownStage] = ()
    paper: StrictFloat | None = None
    source: str = ""
    step_budget_group: str = "rows"

    @property
    def stages(self) -> tuple[str, ...]:
        """The stage, or the candidates."""
        return self.best_of if self.stage is None else (self.stage,)

    @model_validator(mode="after")
    def _validate(self) -> Row:
        if (self.stage is None) == (not self.best_of):
            raise ValueError("expected either 'stage' or 'best_of'")
        return self


@dataclass(config=_FORBID_EXTRA, frozen=True)
class Column:
    """One metric of a table.

    Attributes:
        metric: read as ``test/<metric>``, behind the model of the row where that has one.
        label: heading; default: the metric.
        format: format of its values.
    """

    metric: Text
    label: str = ""
    format: Literal["number", "count", "bytes", "ratio"] = "number"

    @property
    def heading(self) -> str:
        """The label, or the metric in words."""
        return self.label or self.metric.replace("_", " ")


@dataclass(config=_FORBID_EXTRA, frozen=True)
class Line:
    """One row of a table of several metrics.

    Attributes:
        name: method, as shown.
        stage: stage whose results are shown.
        model: prefix of its metrics among those of the stage, ``<model>/<metric>``; empty for all of them.
        paper: metric -> value printed in the paper.
        curve: scatter plots join the points of all rows of one curve; empty for a single point.
    """

    name: Text
    stage: KnownStage
    model: str = ""
    paper: dict[str, StrictFloat] = field(default_factory=dict)
    curve: str = ""

    def metric(self, name: str) -> str:
        """Return the name of a metric among the stage's results."""
        return f"{self.model}/{name}" if self.model else name


@dataclass(config=_FORBID_EXTRA, frozen=True)
class Scatter:
    """A scatter plot of a table's rows.

    A row with a y value but no x value, such as real data in a plot over parameters, becomes a dashed line.

    Attributes:
        title: caption.
        x, y: metrics, both columns of the table.
        log_x: whether the horizontal axis is logarithmic.
    """

    title: Text
    x: str
    y: str
    log_x: StrictBool = False


@dataclass(config=_FORBID_EXTRA, frozen=True)
class Table:
    """A table of several metrics, shown below the main table.

    Attributes:
        title: caption.
        columns: its metrics.
        rows: its rows.
        source: where the paper's values are printed.
        note: remark shown below the table.
        scatter: scatter plots of the table.
    """

    title: Text
    columns: Annotated[ListOf[Column], Field(min_length=1)]
    rows: Annotated[ListOf[Line], Field(min_length=1)]
    source: str = ""
    note: str = ""
    scatter: ListOf[Scatter] = ()

    @model_validator(mode="after")
    def _validate(self) -> Table:
        metrics = [column.metric for column in self.columns]
        _refuse_repeated_names(self.rows)
        used = [(f"rows[{i}].paper", metric) for i, row in enumerate(self.rows) for metric in row.paper]
        for i, scatter in enumerate(self.scatter):
            used += [(f"scatter[{i}].x", scatter.x), (f"scatter[{i}].y", scatter.y)]
        for key, metric in used:
            if metric not in metrics:
                raise key_error(key, f"'{metric}' is not a column of the table, {suggestion(metric, metrics)}")
        return self


@dataclass(config=_FORBID_EXTRA, frozen=True)
class Series:
    """A figure of several curves that a stage recorded in its ``result.json``.

    Attributes:
        title: caption.
        x_label, y_label: labels of the axes.
        stage: stage whose ``result.json`` contains the curves.
        curves: label -> name among the result's ``curves``.
        references: label -> test metric, drawn as a dashed line.
    """

    title: Text
    x_label: Text
    y_label: Text
    stage: KnownStage
    curves: Annotated[dict[str, str], Field(min_length=1)]
    references: dict[str, str] = field(default_factory=dict)


@dataclass(config=_FORBID_EXTRA, frozen=True)
class Sweep:
    """A figure of the metric over a setting.

    Attributes:
        x_label: name of the setting.
        points: value of the setting -> stage.
        title: caption.
        references: stages drawn as dashed lines.
    """

    x_label: Text
    points: Annotated[
        dict[StrictFloat, KnownStage], Field(min_length=1), AfterValidator(lambda points: dict(sorted(points.items())))
    ]
    title: str = "Sweep"
    references: ListOf[KnownStage] = ()


@dataclass(config=_FORBID_EXTRA, frozen=True)
class Curves:
    """A figure over the epochs for each of some columns of ``metrics.csv``.

    Attributes:
        stages: one line each; a row's name stands for the stage that the row shows.
        title: caption of all figures.
        columns: such as ``train/loss``; default: the metric and the cross-entropy with the labels, both of the
            validation split. The latter is comparable between all methods.
    """

    stages: Annotated[ListOf[str], Field(min_length=1)]
    title: str = "Learning curves"
    columns: ListOf[str] = ()


@dataclass(config=_FORBID_EXTRA, frozen=True)
class ReportConfig:
    """The tables and figures of the report.

    Attributes:
        rows: the main table, which compares methods by the experiment's metric.
        tables: tables of several metrics.
        sweep: figures of the metric over a setting.
        curves: figures over the epochs.
        series: figures of curves from a ``result.json``.
        sample_grids: stages whose latest sample grid is shown.
    """

    rows: ListOf[Row] = ()
    tables: ListOf[Table] = ()
    sweep: ListOf[Sweep] = ()
    curves: ListOf[Curves] = ()
    series: ListOf[Series] = ()
    sample_grids: ListOf[KnownStage] = ()

    @model_validator(mode="after")
    def _validate(self, info: ValidationInfo) -> ReportConfig:
        _refuse_repeated_names(self.rows)
        names = [*(info.context or {}).get("stages", ()), *(row.name for row in self.rows)]
        for i, curves in enumerate(self.curves):
            for name in curves.stages:
                if name not in names:
                    raise key_error(f"curves[{i}].stages", f"unknown stage '{name}', {suggestion(name, names)}")
        return self


@dataclass(config=_FORBID_EXTRA)
class Experiment:
    """An experiment file.

    Attributes:
        name: also the name of its folder inside the output folder. Key ``experiment``.
        stages: by name, in order of execution.
        title: heading of the report; default: the name.
        seeds: seeds of every stage; default: ``[0]``.
        metric: read as ``val/<metric>`` and ``test/<metric>``.
        mode: whether higher (``max``) or lower (``min``) is better.
        quick: overrides of every stage in a quick run.
        report: tables and figures.
    """

    name: Annotated[str, AfterValidator(_folder_name), Field(alias="experiment")]
    stages: Annotated[dict[Annotated[str, AfterValidator(_stage_name)], Stage], Field(min_length=1)]
    title: str = ""
    seeds: Annotated[
        tuple[Annotated[StrictInt, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_no_repeats)
    ] = (0,)
    metric: Text = "accuracy"
    mode: Literal["max", "min"] = "max"
    quick: dict[str, Any] = field(default_factory=dict)
    report: ReportConfig = field(default_factory=ReportConfig)

    @model_validator(mode="after")
    def _validate(self) -> Experiment:
        self.title = self.title or self.name
        earlier: dict[str, Stage] = {}
        for name, stage in self.stages.items():
            stage.name, stage.needs = name, tuple(dict.fromkeys(_needs(stage, self)))
            self._validate_needs(stage, earlier)
            earlier[name] = stage
        for i, row in enumerate(self.report.rows):
            if len({self.stages[name].test for name in row.stages if name in self.stages}) > 1:
                raise key_error(f"report.rows[{i}].best_of", "got stages with and without test, expected one kind")
        return self

    def _validate_needs(self, stage: Stage, earlier: Mapping[str, Stage]) -> None:
        for need in stage.needs:
            key = f"stages.{stage.name}"
            if need in self.stages and need not in earlier:
                raise key_error(key, f"needs stage '{need}', which must be listed before it")
            if need not in earlier:
                raise key_error(key, f"needs unknown stage '{need}', {suggestion(need, earlier)}")
            if stage.shared and not earlier[need].shared:
                raise key_error(f"{key}.shared", f"got true, but the stage needs '{need}', which runs once per seed")


def _needs(stage: Stage, experiment: Experiment) -> Iterator[str]:
    yield from stage.needs
    yield from stage_paths([load_yaml_mapping(config) for config in stage.configs], experiment.name)
    yield from references([experiment.quick, stage.overrides, stage.quick, [*stage.command, *stage.quick_command]])


def _refuse_repeated_names(rows: Iterable[Row | Line]) -> None:
    for name, count in Counter(row.name for row in rows).items():
        if count > 1:
            raise key_error("rows", f"got {count} rows named {name!r}, expected distinct names")


def load_experiment(file: Path) -> Experiment:
    """Read and validate an experiment file.

    Raises:
        ConfigurationError: one line that names the file, the key, the value and what was expected.
    """
    content = load_yaml_mapping(file)
    stages = content.get("stages")
    context = {"folder": file.parent, "stages": list(stages) if isinstance(stages, dict) else []}
    return validate(Experiment, content, file, context)
