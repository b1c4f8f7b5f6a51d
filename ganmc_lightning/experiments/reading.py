"""Reading an experiment file, with one clear line for every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ganmc_lightning.errors import InputError
from ganmc_lightning.experiments.references import references, stage_paths
from ganmc_lightning.experiments.section import Section, read_yaml, suggestion
from ganmc_lightning.experiments.spec import Curves, Experiment, Row, Stage, Sweep

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def load_experiment(file: Path) -> Experiment:
    """Read and check an experiment file.

    Raises:
        InputError: one line naming the file, the key and the mend.
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
    report = top.section("report")
    rows = tuple(_row(section, stages) for section in report.sections("rows"))
    repeated = [row.name for index, row in enumerate(rows) if row.name in {r.name for r in rows[:index]}]
    if repeated:
        raise report.error("rows", f"has two rows named {repeated[0]!r}; give each its own name")
    sweeps = tuple(_sweep(section, stages) for section in report.sections("sweep"))
    curves = tuple(_curves(section, stages) for section in report.sections("curves"))
    grids = _known(report, "grids", report.texts("grids"), stages)
    report.close()
    top.close()
    return Experiment(file, name, title, seeds, metric, mode, stages, quick, rows, sweeps, curves, grids)


def check_seeds(seeds: object) -> tuple[int, ...]:
    """Return seeds as a tuple.

    Raises:
        InputError: not a list of different whole numbers from 0 up.
    """
    if isinstance(seeds, list | tuple) and seeds and all(type(s) is int and s >= 0 for s in seeds):
        if len(set(seeds)) == len(seeds):
            return tuple(seeds)
        raise InputError(f"seeds must differ from one another, found {seeds!r}")
    raise InputError(f"seeds must be a list of whole numbers such as [0, 1, 2], found {seeds!r}")


def _seeds(top: Section) -> tuple[int, ...]:
    try:
        return check_seeds(top.take("seeds", [0]))
    except InputError as error:
        raise InputError(f"{top.file}: {error}") from None


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
    configs = tuple(section.file.parent / item for item in section.texts("config", required=True))
    for config in configs:
        if not config.is_file():
            raise section.error("config", f"names a file that is not there: {config}")
    overrides, stage_quick = section.mapping("set"), section.mapping("quick")
    needs = dict.fromkeys(section.texts("needs"))
    needs.update(dict.fromkeys(stage_paths([read_yaml(config) for config in configs], experiment)))
    needs.update(dict.fromkeys(references([dict(quick), overrides, stage_quick])))
    for need in needs:
        if need not in earlier:
            later = need in every
            mend = "move that stage up, above this one" if later else suggestion(need, earlier)
            problem = "a stage that does not come before" if later else "an unknown stage"
            raise section.error("", f"refers to {problem}: '{need}'; {mend}")
    test = section.flag("test", True)
    section.close()
    return Stage(name, configs, overrides, stage_quick, tuple(needs), test)


def _known(section: Section, key: str, names: tuple[str, ...], stages: Mapping[str, Stage]) -> tuple[str, ...]:
    for name in names:
        if name not in stages:
            raise section.error(key, f"names an unknown stage '{name}'; {suggestion(name, stages)}")
    return names


def _row(section: Section, stages: Mapping[str, Stage]) -> Row:
    name = section.text("name")
    if section.has("stage") == section.has("best_of"):
        raise section.error("", "needs either 'stage' or 'best_of'")
    key = "stage" if section.has("stage") else "best_of"
    candidates = (section.text("stage"),) if key == "stage" else section.texts("best_of", required=True)
    _known(section, key, candidates, stages)
    if len({stages[candidate].test for candidate in candidates}) > 1:
        raise section.error(key, "mixes stages with and without a test; give all of them the same 'test'")
    row = Row(name, candidates, section.number("paper"), section.text("source", ""), section.text("group", "rows"))
    section.close()
    return row


def _sweep(section: Section, stages: Mapping[str, Stage]) -> Sweep:
    raw = section.take("points")
    if not isinstance(raw, dict) or not raw:
        raise section.error("points", "must map numbers to stages, and hold at least one")
    for x, stage in raw.items():
        if isinstance(x, bool) or not isinstance(x, int | float) or not isinstance(stage, str):
            raise section.error("points", f"must map numbers to stages, found {x!r}: {stage!r}")
    _known(section, "points", tuple(raw.values()), stages)
    references_ = _known(section, "references", section.texts("references"), stages)
    points = {float(x): raw[x] for x in sorted(raw)}
    sweep = Sweep(section.text("title", "Sweep"), section.text("x_label"), points, references_)
    section.close()
    return sweep


def _curves(section: Section, stages: Mapping[str, Stage]) -> Curves:
    names = _known(section, "stages", section.texts("stages", required=True), stages)
    curves = Curves(section.text("title", "Learning curves"), names, section.text("loss", "cross_entropy"))
    section.close()
    return curves
