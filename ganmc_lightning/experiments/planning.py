"""Plan the runs of an experiment: command lines, run folders, dependencies and fingerprints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ganmc_lightning.experiments.config import Experiment, Stage
from ganmc_lightning.experiments.fingerprint import Fingerprint, compute_fingerprint, find_data
from ganmc_lightning.experiments.interpolation import (
    BUILTINS,
    check_needs,
    check_no_files,
    format_placeholders,
    merge_configs,
    substitute,
    walk_strings,
)
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
        fingerprint: hashes of everything that the result depends on; a result with another fingerprint is not reused.
        configs: path -> content of the config files to write before the run, with the paths of this seed.
        command: command line without ``--ckpt_path``.
        test: command line of the test that follows a training, or None.
        needs: runs that must be finished before this one.
        find_data: function that returns the data files of the run, by the names in the fingerprint.
    """

    stage: str
    seed: int
    folder: RunFolder
    fingerprint: Fingerprint
    configs: Mapping[Path, object]
    command: tuple[str, ...]
    test: tuple[str, ...] | None
    needs: tuple[RunId, ...] = ()
    find_data: Callable[[], dict[str, Path]] = dict

    @property
    def need_folders(self) -> list[RunFolder]:
        """Folders of the runs in :attr:`needs`."""
        root = self.folder.path.parents[1]
        return [RunFolder(root / stage / f"seed{seed}") for stage, seed in self.needs]

    @property
    def id(self) -> RunId:
        """Stage and seed."""
        return self.stage, self.seed

    @property
    def trains(self) -> bool:
        """Whether the command is a training, which has learning curves and can be resumed."""
        return self.command[0] == "fit"


def plan_runs(
    experiment: Experiment, out: Path, seeds: Sequence[int], quick: bool, wandb_project: str | None = None
) -> list[PlannedRun]:
    """Plan the runs in order of execution: all stages of the first seed, then all stages of the next.

    A shared stage has one run, with the first seed of the experiment file, for any ``seeds``.

    Args:
        experiment: the experiment.
        out: output folder; run folders are ``<out>/<experiment>/<stage>/seed<seed>``.
        seeds: seeds of each stage.
        quick: whether to apply the ``quick`` overrides.
        wandb_project: W&B project that receives learning curves and sample grids.

    Raises:
        ConfigurationError: a config file is invalid, names another config file, or refers to a stage that is not in the
            ``needs`` of its stage.
    """
    contents = {config: load_yaml_mapping(config) for stage in experiment.stages.values() for config in stage.configs}
    for config, content in contents.items():
        check_no_files(content, config.parent, config)
    runs: dict[RunId, PlannedRun] = {}
    for seed in seeds:
        seed_of = {name: experiment.seeds[0] if stage.shared else seed for name, stage in experiment.stages.items()}
        folders = {name: out / experiment.name / name / f"seed{number}" for name, number in seed_of.items()}
        for name, stage in experiment.stages.items():
            if (name, seed_of[name]) in runs:  # shared
                continue
            logger = _wandb_logger(experiment.name, name, seed_of[name], folders[name], wandb_project)
            runs[name, seed_of[name]] = _plan_run(
                experiment,
                stage,
                seed_of[name],
                quick=quick,
                contents={config: contents[config] for config in stage.configs},
                folders=folders,
                needs=[runs[need, seed_of[need]] for need in stage.needs],
                logger=logger,
            )
    return list(runs.values())


def _plan_run(
    experiment: Experiment,
    stage: Stage,
    seed: int,
    *,
    quick: bool,
    contents: Mapping[Path, object],
    folders: Mapping[str, Path],
    needs: Sequence[PlannedRun],
    logger: Mapping[str, object],
) -> PlannedRun:
    """Plan one stage with one seed; ``logger`` are overrides that do not affect the result."""
    overrides = {**stage.overrides, **({**experiment.quick, **stage.quick} if quick else {})}
    check_no_files(overrides, Path(), f"stages.{stage.name}")
    words = [*stage.command, *(stage.quick_command if quick else ())]
    effective = merge_configs(contents.values(), overrides)
    for named in (effective, {"command": words}):
        check_needs(named, experiment.name, stage.name, stage.needs, contents)
    move = partial(substitute, experiment=experiment.name, folders=folders)
    portable = partial(move, folders={name: Path(f"{{{name}}}") for name in folders})
    files = partial(find_data, tuple(walk_strings(portable(effective))), tuple(portable(words)))

    folder = RunFolder(folders[stage.name])
    configs: dict[Path, object] = {}
    for number, (file, content) in enumerate(contents.items()):
        moved = move(content)
        configs[file if moved == content else folder.path / f"{number}_{file.name}"] = moved
    values = {**folders, **dict(zip(BUILTINS, (folder.path, seed, next(iter(configs), "")), strict=True))}
    filled, command = move(format_placeholders(overrides, values)), move(format_placeholders(words, values))
    recipe = {"configs": list(contents.values()), "overrides": portable(overrides), "seed": seed, "test": stage.test}
    return PlannedRun(
        stage=stage.name,
        seed=seed,
        folder=folder,
        fingerprint=compute_fingerprint(
            stage.name,
            recipe | ({"command": portable(words)} if words else {}),
            files(),
            [need.fingerprint for need in needs],
        ),
        configs={file: content for file, content in configs.items() if file not in contents},
        command=tuple(command or _fit_command(seed, folder, configs, {**filled, **logger})),
        test=_test_command(folder) if stage.test and not words else None,
        needs=tuple(need.id for need in needs),
        find_data=files,
    )


def _fit_command(seed: int, folder: RunFolder, configs: Iterable[Path], overrides: Mapping[str, object]) -> list[str]:
    command = ["fit"]
    for config in configs:
        command += ["--config", str(config)]
    command += ["--seed_everything", str(seed), "--trainer.default_root_dir", str(folder.path)]
    command += ["--trainer.enable_model_summary=false"]
    return command + [f"--{name}={format_argument(value)}" for name, value in overrides.items()]


def _test_command(folder: RunFolder) -> tuple[str, ...]:
    # The run folder is named again, because the experiment may have been moved.
    run = ("--trainer.default_root_dir", str(folder.path), "--ckpt_path", str(folder.best_checkpoint))
    # Without the logger of the training: W&B would start a second run with its name.
    return ("test", "--config", str(folder.config), *run, "--trainer.logger=false", "--verbose=false")


def _wandb_logger(experiment: str, stage: str, seed: int, folder: Path, project: str | None) -> dict[str, object]:
    """Return the override that adds a W&B logger to a training; empty without a project.

    With ``WANDB_MODE=offline`` the logger writes to the run folder, for a later ``wandb sync``.
    """
    if project is None:
        return {}
    init_args = {"project": project, "group": experiment, "name": f"{stage}-seed{seed}", "save_dir": str(folder)}
    return {"trainer.logger": {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": init_args}}


def format_argument(value: object) -> str:
    """Format an override's value so that the YAML parser of the command line reads an equal value.

    Example:
        >>> format_argument("a/b.ckpt"), format_argument(True), format_argument({"a": [1, None]})
        ('a/b.ckpt', 'true', '{"a": [1, null]}')
    """
    return value if isinstance(value, str) else json.dumps(value, default=str)
