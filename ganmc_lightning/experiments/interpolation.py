"""Placeholders and stage paths: ``{stage}`` in overrides, ``runs/<experiment>/<stage>/seed0`` in config files.

A config file is complete on its own: it names the checkpoints of seed 0 at the paths where ``ganmc fit`` saves them.
In an experiment these paths are replaced by the folders of the seed that is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

OUTPUT_KEY = "default_root_dir"
"""Config key of the output folder, which the command line overrides."""

BUILTINS = ("run_dir", "seed", "config")
"""Placeholders of a command other than stages: its run folder, its seed and its config file."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9][A-Za-z0-9_-]*)\}")


def find_stages(value: object) -> Iterator[str]:
    """Yield the stages named as ``{stage}`` anywhere in an override's value or in a command's words.

    Example:
        >>> list(find_stages({"path": "{teacher}/best.ckpt", "seed": ["{seed}"]}))
        ['teacher']
    """
    for _, text in walk_strings(value):
        yield from (name for name in _PLACEHOLDER.findall(text) if name not in BUILTINS)


def find_stage_paths(config: object, experiment: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the stage of each seed-0 path in a config, except its output folder.

    Example:
        >>> list(find_stage_paths({"model": {"path": "runs/digits/gan/seed0/best.ckpt"}}, "digits"))
        [('model.path', 'gan')]
    """
    pattern = _stage_path(experiment)
    for key, text in walk_strings(config):
        yield from ((key, stage) for stage in pattern.findall(text))


def substitute(config: object, experiment: str, folders: Mapping[str, Path]) -> object:
    """Replace each seed-0 path of a stage by the folder of that stage.

    Args:
        config: content of a config file.
        experiment: name of the experiment.
        folders: stage -> run folder; paths of other stages are kept.

    Example:
        >>> substitute({"path": "runs/digits/gan/seed0/best.ckpt"}, "digits", {"gan": Path("out/gan/seed2")})
        {'path': 'out/gan/seed2/best.ckpt'}
    """
    return _replace(config, _stage_path(experiment), folders)


def format_placeholders(value: object, values: Mapping[str, object]) -> object:
    """Replace each ``{name}`` in an override's value or in a command's words.

    Example:
        >>> format_placeholders(["{teacher}/best.ckpt", 3], {"teacher": Path("runs/teacher")})
        ['runs/teacher/best.ckpt', 3]
    """
    return _replace(value, _PLACEHOLDER, values)


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


def _replace(value: object, pattern: re.Pattern[str], values: Mapping[str, object]) -> object:
    if isinstance(value, str):
        return pattern.sub(lambda match: str(values.get(match[1], match[0])), value)
    if isinstance(value, Mapping):
        return {key: item if key == OUTPUT_KEY else _replace(item, pattern, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(item, pattern, values) for item in value]
    return value


def _stage_path(experiment: str) -> re.Pattern[str]:
    return re.compile(rf"runs/{re.escape(experiment)}/([A-Za-z0-9][A-Za-z0-9_-]*)/seed0(?![0-9])")
