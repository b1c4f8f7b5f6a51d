"""Configs of a stage: merge config files and overrides, and substitute the folders of other stages.

An override or a command refers to a stage by ``{stage}``, a config file by ``runs/<experiment>/<stage>/seed0``. Every
config file is complete: it contains the paths where ``ganmc fit`` saves checkpoints of seed 0. In an experiment, these
paths are replaced by the folders of the seed of the run, also in overrides and commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ganmc_lightning.exceptions import ConfigurationError

OUTPUT_KEY = "default_root_dir"
"""Config key of the output folder, which the command line overrides."""

BUILTINS = ("run_dir", "seed", "config")
"""Placeholders of a command other than stages: run folder, seed and config file of the run."""

T = TypeVar("T")
_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9][A-Za-z0-9_-]*)\}")


def find_stages(value: object) -> Iterator[str]:
    """Yield the stages of all placeholders ``{stage}`` in the value of an override or the words of a command.

    Example:
        >>> list(find_stages({"path": "{teacher}/best.ckpt", "seed": ["{seed}"]}))
        ['teacher']
    """
    for _, text in walk_strings(value):
        yield from (name for name in _PLACEHOLDER.findall(text) if name not in BUILTINS)


def find_stage_paths(config: object, experiment: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the stage of each seed-0 path in a config, except its output folder.

    The path is a text of its own, optionally with ``./``, or follows ``:`` or ``=``, as in ``classifier:PATH``.

    Example:
        >>> list(find_stage_paths({"model": {"path": "runs/digits/gan/seed0/best.ckpt"}}, "digits"))
        [('model.path', 'gan')]
    """
    pattern = _stage_path(experiment)
    for key, text in walk_strings(config):
        yield from ((key, stage) for stage in pattern.findall(text))


def merge_configs(configs: Iterable[object], overrides: Mapping[str, object]) -> dict[str, object]:
    """Merge config files and dotted overrides, later ones on top.

    Another class replaces a class and its arguments, and lists are replaced, not merged. An override of only
    ``....class_path`` keeps the arguments: the command line keeps those that the new class has.

    Args:
        configs: contents of the config files.
        overrides: dotted key -> value.

    Example:
        >>> config = {"data": {"p_fake": 0.5, "synthesizer": {"class_path": "GAN", "init_args": {"path": "gan.ckpt"}}}}
        >>> merge_configs([config], {"data.p_fake": 0.2, "data.synthesizer": "SMOTE"})
        {'data': {'p_fake': 0.2, 'synthesizer': 'SMOTE'}}
        >>> merge_configs([config], {"data.synthesizer.init_args.path": "other.ckpt"})["data"]["synthesizer"]
        {'class_path': 'GAN', 'init_args': {'path': 'other.ckpt'}}
        >>> merge_configs([config], {"data.synthesizer.class_path": "Stored"})["data"]["synthesizer"]
        {'class_path': 'Stored', 'init_args': {'path': 'gan.ckpt'}}
    """
    merged: object = {}
    for config in configs:
        merged = _merge(merged, config if isinstance(config, Mapping) else {})
    for key, value in overrides.items():
        keep_arguments = key.endswith(".class_path")
        for name in reversed(key.split(".")):
            value = {name: value}
        merged = _merge(merged, value, keep_arguments)
    assert isinstance(merged, dict)
    return merged


def check_needs(
    effective: object, experiment: str, stage: str, needs: Iterable[str], contents: Mapping[Path, object]
) -> None:
    """Check that the ``needs`` of a stage contain all stages with a folder in its effective config or command.

    Args:
        effective: the effective config, or the words of a command with the key ``command``.
        experiment: name of the experiment.
        stage: name of the stage.
        needs: declared stages.
        contents: config file -> content, for the error message.

    Raises:
        ConfigurationError: a stage is not declared.
    """
    for key, name in find_stage_paths(effective, experiment):
        if name not in needs:
            named = (f for f, content in contents.items() if (key, name) in find_stage_paths(content, experiment))
            file = next(named, None)
            where, fix = (f"stages.{stage}", f"'{{{name}}}'") if file is None else (file, f"an override of {key}")
            raise ConfigurationError(
                f"{where}: {key} names stage '{name}', expected it in 'needs' of stage '{stage}' (or {fix})"
            )


def check_no_files(config: object, folder: Path, where: object) -> None:
    """Check that no value of a config is the name of a config file, which the command line would read in its place.

    The paths of stages in such a file would not be replaced.

    Args:
        config: content of a config file, or overrides.
        folder: folder to which paths in the config are relative.
        where: config file or stage, for the error message.

    Raises:
        ConfigurationError: a value names an existing ``.yaml`` file; the key ``path`` may.
    """
    for key, text in walk_strings(config):
        is_path = key.rpartition(".")[2] == "path"
        if text.endswith((".yaml", ".yml")) and not is_path and (folder / text).is_file():
            raise ConfigurationError(f"{where}: {key}: got the file {text}, expected its content")


def substitute(config: T, experiment: str, folders: Mapping[str, Path]) -> T:
    """Replace each seed-0 path of a stage by the folder of that stage.

    Args:
        config: content of a config file, overrides, or words of a command.
        experiment: name of the experiment.
        folders: stage -> run folder; paths of other stages are kept.

    Example:
        >>> substitute({"path": "runs/digits/gan/seed0/best.ckpt"}, "digits", {"gan": Path("out/gan/seed2")})
        {'path': 'out/gan/seed2/best.ckpt'}
    """
    replaced: T = _replace(config, _stage_path(experiment), folders)
    return replaced


def format_placeholders(value: T, values: Mapping[str, object]) -> T:
    """Replace each ``{name}`` in an override's value or in a command's words.

    Example:
        >>> format_placeholders(["{teacher}/best.ckpt", 3], {"teacher": Path("runs/teacher")})
        ['runs/teacher/best.ckpt', 3]
    """
    replaced: T = _replace(value, _PLACEHOLDER, values)
    return replaced


def walk_strings(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the text of each string in a config, except its output folder."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name != OUTPUT_KEY:
                yield from walk_strings(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from walk_strings(item, key)


def _merge(base: object, update: object, keep_arguments: bool = False) -> object:
    if not isinstance(update, Mapping):
        return update
    if isinstance(base, str) and "class_path" not in update and set(update) <= {"init_args", "dict_kwargs"}:
        base = {"class_path": base}  # short form of a class without arguments
    if isinstance(base, Mapping):
        same_class = update.get("class_path", base.get("class_path")) == base.get("class_path")
        if same_class or keep_arguments:
            return {**base, **{key: _merge(base.get(key), value, keep_arguments) for key, value in update.items()}}
    return {key: _merge(None, value) for key, value in update.items()}


def _replace(value: Any, pattern: re.Pattern[str], values: Mapping[str, object]) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda match: str(values.get(match[1], match[0])), value)
    if isinstance(value, Mapping):
        return {key: item if key == OUTPUT_KEY else _replace(item, pattern, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(item, pattern, values) for item in value]
    return value


def _stage_path(experiment: str) -> re.Pattern[str]:
    # A longer path, such as /home/me/runs/..., belongs to other runs.
    return re.compile(rf"(?<![^:=])(?:\./)*runs/{re.escape(experiment)}/([A-Za-z0-9][A-Za-z0-9_-]*)/seed0(?![0-9])")
