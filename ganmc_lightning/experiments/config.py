"""Format of experiment files: stages, one command line each, and the report of their results."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    model_validator,
)
from pydantic.dataclasses import dataclass

from ganmc_lightning.experiments.config_types import FORBID_EXTRA, DataPatterns, Device, Duration, ListOf, Text
from ganmc_lightning.experiments.interpolation import BUILTINS, find_stages
from ganmc_lightning.experiments.output_paths import RUN_DIR, find_outside_outputs, find_run_keys
from ganmc_lightning.experiments.report_config import ReportConfig
from ganmc_lightning.io.structured import key_error, load_yaml_mapping, shorten, suggestion, validate

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_KEY = re.compile(r"[A-Za-z_][\w.]*\+?")


def _folder_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"got {name!r}, expected letters, digits, '_' and '-' (it becomes a folder name)")
    return name


def _stage_name(name: str) -> str:
    if name in ("cards", "figures") or name in BUILTINS:
        meaning = f"placeholder {{{name}}}" if name in BUILTINS else f"folder of the report's {name}"
        raise ValueError(f"reserved for the {meaning}; choose another stage name")
    return _folder_name(name)


def _config_file(name: object, info: ValidationInfo) -> object:
    """Resolve a path relative to the folder of the experiment file."""
    if not isinstance(name, str):
        return name
    path = Path((info.context or {}).get("folder", "."), name)
    if not path.is_file():
        raise ValueError(f"file not found: {path}")
    return path


def _words(command: object) -> tuple[str, ...]:
    """Split a command line before placeholders are substituted, because folder names may contain blanks."""
    if not isinstance(command, str):
        raise ValueError(f"got {shorten(command)}, expected text")
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise ValueError(f"got {shorten(command)}, expected a command line ({error})") from None


def _check_overrides(name: str, overrides: Mapping[str, object]) -> None:
    """Refuse overrides that are no configuration keys, or that each run sets itself."""
    for key in overrides:
        if not _KEY.fullmatch(key) or key in ("config", "import", "help"):
            raise key_error(f"{name}.{key}", "unexpected key, expected a key of the configuration file")
    for key in find_run_keys(overrides):
        fix = "set 'seeds'" if key == "seed_everything" else "set the option --out of ganmc reproduce"
        raise key_error(name, f"unexpected key {key}, which differs between runs; {fix}")


def _no_repeats(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"got {list(seeds)}, expected distinct seeds")
    return seeds


Seed = Annotated[StrictInt, Field(ge=0, lt=2**32)]  # the range of NumPy's seeds
ConfigFile = Annotated[Path, BeforeValidator(_config_file)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


@dataclass(config=FORBID_EXTRA)
class Stage:
    """One run per seed: a training, or another command that writes a ``result.json``.

    Attributes:
        configs: files passed to ``fit`` (key ``config``); later ones override earlier ones. A command has at most one,
            as ``{config}``.
        overrides: dotted keys and values that override the files; a string may contain ``{stage}``.
        quick: further overrides of a quick run, with precedence over the experiment's ``quick``.
        needs: stages that must be complete before this one: listed stages, and stages of placeholders ``{stage}``.
            Stages of paths ``runs/<experiment>/<stage>/seed0`` must be listed.
        test: whether to run ``test`` after ``fit`` and to report test metrics.
        command: words of a command other than ``fit``; empty for ``fit``. They may contain ``{stage}``, and
            ``{run_dir}``, ``{seed}`` and ``{config}`` for folder, seed and configuration file of the run.
        quick_command: words that a quick run appends to the command.
        shared: whether the stage runs only once, with the experiment's first seed, for the stages of all seeds.
        name: key of the stage in the file, also the name of its folder.
    """

    configs: Annotated[ListOf[ConfigFile], Field(alias="config")] = ()
    overrides: dict[str, Any] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)
    needs: ListOf[str] = ()
    test: StrictBool = True
    command: Words = ()
    quick_command: Words = ()
    shared: StrictBool = False
    name: str = field(init=False, default="")

    @model_validator(mode="after")
    def _validate(self) -> Stage:
        if not self.command and not self.configs:
            raise key_error("config", "required key is missing")
        if self.command and len(self.configs) > 1:
            raise key_error("config", "got several files, expected at most one next to 'command'")
        for key in ("overrides", "quick") if self.command else ("quick_command",):
            if getattr(self, key):
                raise key_error(key, f"unexpected key {'next to' if self.command else 'without'} 'command'")
        self._check_outputs()
        return self

    def _check_outputs(self) -> None:
        _check_overrides("overrides", self.overrides)
        _check_overrides("quick", self.quick)
        for key, words in (("command", self.command), ("quick_command", self.quick_command)):
            for option in find_outside_outputs(words):
                raise key_error(key, f"got {option}, expected a path inside the run folder, such as {RUN_DIR}")
        if self.command and not any(RUN_DIR in word for word in self.command):
            raise key_error("command", f"got no {RUN_DIR}, expected the run folder as output, such as --out {RUN_DIR}")


@dataclass(config=FORBID_EXTRA)
class Experiment:
    """An experiment file.

    Attributes:
        name: name of the experiment (key ``experiment``) and of its folder in the output folder.
        stages: stages by name, in order of execution.
        title: heading of the report; default: the name.
        seeds: seeds of every stage; default: ``[0]``.
        duration: time of all stages with these seeds, for ``ganmc reproduce --list``; ``about ...`` marks an estimate.
        device: device of that duration, ``CPU`` or ``GPU``.
        data: files and folders in the data root that the stages read, as patterns such as ``mnist*.npz``.
        metric: reported metric, read as ``val/<metric>`` and ``test/<metric>``.
        mode: whether higher (``max``) or lower (``min``) is better.
        quick: overrides of all stages in a quick run.
        report: tables and figures of the report.
    """

    name: Annotated[str, AfterValidator(_folder_name), Field(alias="experiment")]
    stages: Annotated[dict[Annotated[str, AfterValidator(_stage_name)], Stage], Field(min_length=1)]
    title: str = ""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_no_repeats)] = (0,)
    duration: Duration | None = None
    device: Device | None = None
    data: DataPatterns = ()
    metric: Text = "accuracy"
    mode: Literal["max", "min"] = "max"
    quick: dict[str, Any] = field(default_factory=dict)
    report: ReportConfig = field(default_factory=ReportConfig)

    @model_validator(mode="after")
    def _validate(self) -> Experiment:
        self.title = self.title or self.name
        _check_overrides("quick", self.quick)
        earlier: dict[str, Stage] = {}
        for name, stage in self.stages.items():
            stage.name, stage.needs = name, tuple(dict.fromkeys(_needs(stage, self)))
            self._validate_needs(stage, earlier)
            earlier[name] = stage
        for i, row in enumerate(self.report.rows):
            self._validate_one_kind(f"report.rows[{i}].select_from", row.stages)
        for i, sweep in enumerate(self.report.sweep):
            stages = list(sweep.x_to_stage.values())
            self._validate_one_kind(f"report.sweep[{i}].x_to_stage", stages)
            self._validate_one_kind(f"report.sweep[{i}].baselines", [*stages, *sweep.baselines])
        return self

    def _validate_one_kind(self, key: str, stages: Iterable[str]) -> None:
        """Refuse a comparison of test values with validation values."""
        if len({self.stages[name].test for name in stages if name in self.stages}) > 1:
            raise key_error(key, "got stages with and without test, expected one kind")

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
    yield from find_stages([experiment.quick, stage.overrides, stage.quick, [*stage.command, *stage.quick_command]])


def load_experiment(file: Path) -> Experiment:
    """Read and validate an experiment file.

    Raises:
        ConfigurationError: the file, a key or a value is invalid.
    """
    content = load_yaml_mapping(file)
    stages = content.get("stages")
    context = {"folder": file.parent, "stages": list(stages) if isinstance(stages, dict) else []}
    return validate(Experiment, content, file, context)
