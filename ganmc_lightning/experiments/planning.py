"""From an experiment to command lines: which runs there are, where they go, and what identifies each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganmc_lightning.experiments.config import Experiment, Stage
from ganmc_lightning.experiments.references import OWN, fill, follow
from ganmc_lightning.io.structured import load_yaml_mapping


@dataclass(frozen=True)
class PlannedRun:
    """One stage with one seed.

    Attributes:
        stage: name of the stage.
        seed: handed to ``--seed_everything``.
        folder: where the run lives.
        key: sha256 of the contents of the config files, the overrides, the seed and the keys of the runs it
            depends on. Comments, paths and the output folder do not count, nor do the version of the package
            and the data: another ``--out`` starts anew.
        configs: config files to write before training, by path: those whose paths had to follow a stage.
        command: command line of the training, without ``--ckpt_path``, or of whatever else the stage does.
        test: command line of the test that follows, or None.
        needs: stage and seed of the runs that must be finished before.
    """

    stage: str
    seed: int
    folder: Path
    key: str
    configs: Mapping[Path, object]
    command: tuple[str, ...]
    test: tuple[str, ...] | None
    needs: tuple[tuple[str, int], ...] = ()

    @property
    def trains(self) -> bool:
        """Whether it is a training, which has curves and can be continued."""
        return self.command[0] == "fit"

    @property
    def last_checkpoint(self) -> Path:
        """Where an interrupted training continues."""
        return self.folder / "checkpoints" / "last.ckpt"


def plan_runs(experiment: Experiment, out: Path, seeds: Sequence[int], quick: bool) -> list[PlannedRun]:
    """List the runs in the order they are made: all stages of the first seed, then of the next.

    A shared stage has one run, with the first seed of the experiment file whatever ``seeds`` are.

    Raises:
        ConfigurationError: a config file is no YAML.
    """
    contents = {config: load_yaml_mapping(config) for stage in experiment.stages.values() for config in stage.configs}
    shared: dict[str, PlannedRun] = {}
    runs: list[PlannedRun] = []
    for seed in seeds:
        done = dict(shared)
        for stage in experiment.stages.values():
            if stage.name in shared:
                continue
            own_seed = experiment.seeds[0] if stage.shared else seed
            run = _plan_run(experiment, stage, own_seed, out, quick, contents, done)
            done[stage.name] = run
            if stage.shared:
                shared[stage.name] = run
            runs.append(run)
    return runs


def _plan_run(
    experiment: Experiment,
    stage: Stage,
    seed: int,
    out: Path,
    quick: bool,
    contents: Mapping[Path, object],
    done: Mapping[str, PlannedRun],
) -> PlannedRun:
    """Plan one stage with one seed, after the runs of the stages it needs."""
    overrides = dict(stage.overrides)
    if quick:
        overrides |= {**experiment.quick, **stage.quick}
    recipe = {
        "configs": [contents[config] for config in stage.configs],
        "overrides": overrides,
        "seed": seed,
        "test": stage.test,
        "needs": {need: done[need].key for need in stage.needs},
    }
    words = (*stage.command, *(stage.quick_command if quick else ()))
    if words:
        recipe["command"] = words
    folder = out / experiment.name / stage.name / f"seed{seed}"
    folders = {need: done[need].folder for need in stage.needs}
    configs = {}
    for number, config in enumerate(stage.configs):
        content = follow(contents[config], experiment.name, folders)
        moved = content != contents[config]
        configs[folder / f"{number}_{config.name}" if moved else config] = content if moved else None
    if words:
        names = folders | dict(zip(OWN, (folder, seed, next(iter(configs), "")), strict=True))
        command, test = tuple(str(fill(word, names)) for word in words), None
    else:
        command = _fit(seed, folder, configs, fill(overrides, folders))
        test = _test(folder) if stage.test else None
    written = {path: content for path, content in configs.items() if content is not None}
    needs = tuple((need, done[need].seed) for need in stage.needs)
    return PlannedRun(stage.name, seed, folder, _key(recipe), written, command, test, needs)


def _fit(seed: int, folder: Path, configs: Iterable[Path], overrides: object) -> tuple[str, ...]:
    assert isinstance(overrides, dict)
    fit = ["fit"]
    for config in configs:
        fit += ["--config", str(config)]
    fit += ["--seed_everything", str(seed), "--trainer.default_root_dir", str(folder)]
    fit += ["--trainer.enable_model_summary=false"]
    fit += [f"--{name}={argument(value)}" for name, value in overrides.items()]
    return tuple(fit)


def _test(folder: Path) -> tuple[str, ...]:
    best = folder / "checkpoints" / "best.ckpt"
    return ("test", "--config", str(folder / "config.yaml"), "--ckpt_path", str(best), "--verbose=false")


def argument(value: object) -> str:
    """Spell an override's value so that the command line's YAML parser reads the same value back.

    Example:
        >>> argument("a/b.ckpt"), argument(True), argument({"a": [1, None]})
        ('a/b.ckpt', 'true', '{"a": [1, null]}')
    """
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _key(recipe: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True, default=str).encode()).hexdigest()
