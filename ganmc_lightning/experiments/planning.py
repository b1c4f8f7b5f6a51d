"""Plan the runs of an experiment: command lines, run folders, dependencies and fingerprints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import Experiment, Stage
from ganmc_lightning.experiments.effective_config import merge_configs
from ganmc_lightning.experiments.fingerprint import Fingerprint, find_data, hash_json, hash_path, hash_source
from ganmc_lightning.experiments.interpolation import BUILTINS, find_stage_paths, format_placeholders, substitute
from ganmc_lightning.io.structured import load_yaml_mapping
from ganmc_lightning.runs.folder import RunFolder

RunId = tuple[str, int]
"""Stage and seed."""


@dataclass(frozen=True)
class PlannedRun:
    """One stage with one seed.

    Attributes:
        stage: name of the stage.
        seed: value of ``--seed_everything``.
        folder: run folder.
        fingerprint: what the result depends on; a result with another fingerprint is not reused.
        configs: path -> content of config files to write before the run, with the paths of this seed's stages.
        command: command line without ``--ckpt_path``.
        test: command line of the test that follows a training, or None.
        needs: runs that must be finished before.
    """

    stage: str
    seed: int
    folder: RunFolder
    fingerprint: Fingerprint
    configs: Mapping[Path, object]
    command: tuple[str, ...]
    test: tuple[str, ...] | None
    needs: tuple[RunId, ...] = ()

    @property
    def id(self) -> RunId:
        """Stage and seed."""
        return self.stage, self.seed

    @property
    def trains(self) -> bool:
        """Whether the command is a training, which has learning curves and can be resumed."""
        return self.command[0] == "fit"


def plan_runs(experiment: Experiment, out: Path, seeds: Sequence[int], quick: bool) -> list[PlannedRun]:
    """Plan the runs in the order of execution: all stages of the first seed, then those of the next.

    A shared stage has one run, with the first seed of the experiment file, for any ``seeds``.

    Raises:
        ConfigurationError: a config file is invalid, or names a stage that is not among the stage's ``needs``.
    """
    hash_path.cache_clear()  # files may have changed since an earlier plan
    contents = {config: load_yaml_mapping(config) for stage in experiment.stages.values() for config in stage.configs}
    runs: dict[RunId, PlannedRun] = {}
    for seed in seeds:
        seed_of = {name: experiment.seeds[0] if stage.shared else seed for name, stage in experiment.stages.items()}
        folders = {name: out / experiment.name / name / f"seed{number}" for name, number in seed_of.items()}
        for stage in experiment.stages.values():
            if (stage.name, seed_of[stage.name]) not in runs:
                needs = [runs[need, seed_of[need]] for need in stage.needs]
                configs = {config: contents[config] for config in stage.configs}
                run = _plan_run(experiment, stage, seed_of[stage.name], quick, configs, folders, needs)
                runs[run.id] = run
    return list(runs.values())


def _plan_run(
    experiment: Experiment,
    stage: Stage,
    seed: int,
    quick: bool,
    contents: Mapping[Path, object],
    folders: Mapping[str, Path],
    needs: Sequence[PlannedRun],
) -> PlannedRun:
    """Plan one stage with one seed.

    Args:
        experiment: the experiment.
        stage: a stage of it.
        seed: seed of the run.
        quick: whether to apply the ``quick`` overrides.
        contents: config file -> content.
        folders: stage -> run folder of the seed at hand, for all stages of the experiment.
        needs: runs of the stages that this one depends on.
    """
    overrides = {**stage.overrides, **({**experiment.quick, **stage.quick} if quick else {})}
    words = (*stage.command, *(stage.quick_command if quick else ()))
    effective = merge_configs(list(contents.values()), overrides)
    _check_needs(experiment, stage, contents, effective)
    folder = RunFolder(folders[stage.name])
    configs = {}
    for number, (config, content) in enumerate(contents.items()):
        moved = substitute(content, experiment.name, folders)
        configs[folder.path / f"{number}_{config.name}" if moved != content else config] = moved
    if words:
        values = {**folders, **dict(zip(BUILTINS, (folder.path, seed, next(iter(configs), "")), strict=True))}
        command, test = tuple(str(format_placeholders(word, values)) for word in words), None
    else:
        command = _fit_command(seed, folder, configs, format_placeholders(overrides, folders))
        test = _test_command(folder) if stage.test else None
    without_stages = substitute(effective, experiment.name, {name: Path(f"{{{name}}}") for name in folders})
    assert isinstance(without_stages, dict)
    data = {name: hash_path(path) for name, path in find_data(without_stages, words).items()}
    recipe = {"configs": list(contents.values()), "overrides": overrides, "seed": seed, "test": stage.test}
    fingerprint = Fingerprint(
        configs=_union([need.fingerprint.configs for need in needs])
        | {stage.name: hash_json(recipe | ({"command": words} if words else {}))},
        source=hash_source(),
        data=_union([need.fingerprint.data for need in needs]) | data,
    )
    written = {path: content for path, content in configs.items() if path not in contents}
    return PlannedRun(stage.name, seed, folder, fingerprint, written, command, test, tuple(need.id for need in needs))


def _check_needs(experiment: Experiment, stage: Stage, contents: Mapping[Path, object], effective: object) -> None:
    """Check that each stage whose folder the effective config names is declared.

    Raises:
        ConfigurationError: one is not.
    """
    for key, name in find_stage_paths(effective, experiment.name):
        if name not in stage.needs:
            file = next(
                file for file, content in contents.items() if (key, name) in find_stage_paths(content, experiment.name)
            )
            raise ConfigurationError(
                f"{file}: {key} names stage '{name}', expected it in 'needs' of stage '{stage.name}' "
                f"(or an override of {key})"
            )


def _union(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for mapping in mappings for key, value in mapping.items()}


def _fit_command(seed: int, folder: RunFolder, configs: Iterable[Path], overrides: object) -> tuple[str, ...]:
    assert isinstance(overrides, dict)
    fit = ["fit"]
    for config in configs:
        fit += ["--config", str(config)]
    fit += ["--seed_everything", str(seed), "--trainer.default_root_dir", str(folder.path)]
    fit += ["--trainer.enable_model_summary=false"]
    fit += [f"--{name}={format_argument(value)}" for name, value in overrides.items()]
    return tuple(fit)


def _test_command(folder: RunFolder) -> tuple[str, ...]:
    best = str(folder.best_checkpoint)
    return ("test", "--config", str(folder.config), "--ckpt_path", best, "--verbose=false")


def format_argument(value: object) -> str:
    """Format an override's value so that the YAML parser of the command line reads an equal value.

    Example:
        >>> format_argument("a/b.ckpt"), format_argument(True), format_argument({"a": [1, None]})
        ('a/b.ckpt', 'true', '{"a": [1, null]}')
    """
    return value if isinstance(value, str) else json.dumps(value, default=str)
