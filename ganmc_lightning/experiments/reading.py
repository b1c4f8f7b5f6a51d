"""Reading an experiment file, with one clear line for every mistake in it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.reading_report import read_report
from ganmc_lightning.experiments.references import OWN, references, stage_paths
from ganmc_lightning.experiments.section import Section, read_yaml, suggestion
from ganmc_lightning.experiments.spec import Experiment, Stage

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def load_experiment(file: Path) -> Experiment:
    """Read and check an experiment file.

    Raises:
        ConfigurationError: one line naming the file, the key and the fix.
    """
    top = Section(file, "", read_yaml(file))
    name = _folder_name(top, "experiment", top.text("experiment"))
    title = top.text("title", name)
    seeds = _seeds(top)
    metric = top.text("metric", "accuracy")
    mode = top.text("mode", "max")
    if mode not in ("max", "min"):
        raise top.error("mode", f"must be max or min, found {mode!r}")
    quick = top.mapping("quick")
    stages = _stages(top, name, quick)
    report = read_report(top.section("report"), stages)
    top.close()
    return Experiment(file, name, title, seeds, metric, mode, stages, quick, **report)


def check_seeds(seeds: object) -> tuple[int, ...]:
    """Return seeds as a tuple.

    Raises:
        ConfigurationError: not a list of different whole numbers from 0 up.
    """
    if isinstance(seeds, list | tuple) and seeds and all(type(s) is int and s >= 0 for s in seeds):
        if len(set(seeds)) == len(seeds):
            return tuple(seeds)
        raise ConfigurationError(f"seeds must differ from one another, found {seeds!r}")
    raise ConfigurationError(f"seeds must be a list of whole numbers such as [0, 1, 2], found {seeds!r}")


def _seeds(top: Section) -> tuple[int, ...]:
    try:
        return check_seeds(top.take("seeds", [0]))
    except ConfigurationError as error:
        raise ConfigurationError(f"{top.file}: {error}") from None


def _folder_name(section: Section, key: str, name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise section.error(key, f"names a folder: letters, digits, '_' and '-' only, found {name!r}")
    return name


def _stages(top: Section, experiment: str, quick: Mapping[str, object]) -> dict[str, Stage]:
    raw = top.take("stages")
    if not isinstance(raw, dict) or not raw:
        raise top.error("stages", "must map stage names to their settings, and name at least one")
    stages: dict[str, Stage] = {}
    for name, value in raw.items():
        _folder_name(top, "stages", name)
        if name == "figures":
            raise top.error("stages.figures", "is the report's own folder; choose another stage name")
        if name in OWN:
            raise top.error(f"stages.{name}", f"is taken: {{{name}}} means something else; choose another stage name")
        stages[name] = _stage(Section(top.file, f"stages.{name}", value), experiment, name, stages, raw, quick)
    return stages


def _stage(
    section: Section,
    experiment: str,
    name: str,
    earlier: Mapping[str, Stage],
    every: Iterable[str],
    quick: Mapping[str, object],
) -> Stage:
    trains = not section.has("run")
    configs = tuple(section.file.parent / item for item in section.texts("config", required=trains))
    for config in configs:
        if not config.is_file():
            raise section.error("config", f"names a file that is not there: {config}")
    command = () if trains else _words(section, "run")
    quick_command = () if trains else _words(section, "quick")
    if command and len(configs) > 1:
        raise section.error("config", "must be one file for a stage that runs a command")
    overrides, stage_quick = (section.mapping("overrides"), section.mapping("quick")) if trains else ({}, {})
    needs = dict.fromkeys(section.texts("needs"))
    needs.update(dict.fromkeys(stage_paths([read_yaml(config) for config in configs], experiment)))
    needs.update(dict.fromkeys(references([dict(quick), overrides, stage_quick, [*command, *quick_command]])))
    for need in needs:
        if need not in earlier:
            later = need in every
            fix = "move that stage up, above this one" if later else suggestion(need, earlier)
            problem = "a stage that does not come before" if later else "an unknown stage"
            raise section.error("", f"refers to {problem}: '{need}'; {fix}")
    shared = section.flag("shared", False)
    for need in needs:
        if shared and not earlier[need].shared:
            raise section.error("shared", f"is true, but stage '{need}', which it depends on, runs once per seed")
    test = section.flag("test", True)
    section.close()
    return Stage(name, configs, overrides, stage_quick, tuple(needs), test, command, quick_command, shared)


def _words(section: Section, key: str) -> tuple[str, ...]:
    """Read a command line as words, which may hold blanks once their names in braces are filled in."""
    try:
        return tuple(shlex.split(section.text(key, "")))
    except ValueError as error:
        raise section.error(key, f"is no command line ({error})") from None
