"""How a stage names another: ``{stage}`` in an override, ``runs/<experiment>/<stage>/seed0`` in a config file.

A config file is complete on its own: it names the checkpoints of seed 0 where a plain ``ganmc fit`` leaves
them. In an experiment those paths follow the stage they name to its folder for the seed at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

OUTPUT = "default_root_dir"
"""The key under which a config file names its own folder."""

_REFERENCE = re.compile(r"\{([A-Za-z0-9][A-Za-z0-9_-]*)\}")


OWN = ("run_dir", "seed", "config")
"""What a command may name in braces besides stages: its own folder, seed and configuration file."""


def references(value: object) -> Iterator[str]:
    """Yield the stages named as ``{stage}`` anywhere inside an override's value or a command's words."""
    if isinstance(value, str):
        yield from (name for name in _REFERENCE.findall(value) if name not in OWN)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def stage_paths(value: object, experiment: str) -> Iterator[str]:
    """Yield the stages whose seed-0 folders a config file's content names, its own output folder left out."""
    if isinstance(value, str):
        yield from _stage_path(experiment).findall(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key != OUTPUT:
                yield from stage_paths(item, experiment)
    elif isinstance(value, list):
        for item in value:
            yield from stage_paths(item, experiment)


def follow(value: object, experiment: str, folders: Mapping[str, Path]) -> object:
    """Replace every seed-0 folder named in a config file's content by the stage's folder.

    Example:
        >>> follow({"path": "runs/digits/gan/seed0/best.ckpt"}, "digits", {"gan": Path("out/gan/seed2")})
        {'path': 'out/gan/seed2/best.ckpt'}
    """
    if isinstance(value, str):
        return _stage_path(experiment).sub(lambda match: str(folders[match[1]]), value)
    if isinstance(value, Mapping):
        return {key: item if key == OUTPUT else follow(item, experiment, folders) for key, item in value.items()}
    if isinstance(value, list):
        return [follow(item, experiment, folders) for item in value]
    return value


def _stage_path(experiment: str) -> re.Pattern[str]:
    return re.compile(rf"runs/{re.escape(experiment)}/([A-Za-z0-9][A-Za-z0-9_-]*)/seed0(?![0-9])")


def fill(value: object, folders: Mapping[str, object]) -> object:
    """Replace every ``{stage}`` inside an override's value by that stage's folder, and what else has a name there.

    Example:
        >>> fill(["{teacher}/best.ckpt", 3], {"teacher": Path("runs/teacher")})
        ['runs/teacher/best.ckpt', 3]
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: str(folders[match[1]]), value)
    if isinstance(value, Mapping):
        return {key: fill(item, folders) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, folders) for item in value]
    return value
