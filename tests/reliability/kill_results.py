"""Comparison of what a command wrote with what an undisturbed command wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ganmc_lightning.runs.metrics_csv import read_metrics

MEASURED = re.compile(r"second|latenc|speedup|costs|environment|command|time|duration|fingerprint|hash|skops")
"""Keys of durations, descriptions and the size of skops files, which differ between two undisturbed runs."""
CREATED = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
WEIGHTS = ("state_dict", "optimizer_states", "lr_schedulers")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a JSON object that do not depend on durations."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if not MEASURED.search(str(key).lower()):
                yield from leaves(item, f"{path}.{key}")
    else:
        yield path, value


def incomplete_files(folder: Path) -> list[str]:
    """Return the files, except temporary ones, that cannot be read to their end."""
    found = []
    for file in sorted(folder.rglob("*")):
        if file.name.startswith(".") or any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        try:
            if file.suffix == ".json":
                json.loads(file.read_text())
            elif file.suffix == ".png":
                with Image.open(file) as image:
                    image.load()
            elif file.suffix == ".ckpt":
                torch.load(file, weights_only=True)
            elif file.is_file() and file.name != "log.txt" and file.stat().st_size == 0:
                found.append(str(file.relative_to(folder)))
        except Exception as error:
            found.append(f"{file.relative_to(folder)}: {error}")
    return found


def temporary_files(folder: Path) -> list[str]:
    """Return the hidden files and folders, such as locks and incomplete files."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob(".*"))


def finished_stages(folder: Path) -> dict[Path, int]:
    """Return the time of change of each checkpoint and result of a stage that is finished."""
    files = {}
    for state in folder.rglob("run_state.json"):
        if json.loads(state.read_text())["status"] == "finished":
            for name in ("result.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
                if (file := state.parent / name).is_file():
                    files[file] = file.stat().st_mtime_ns
    for result in folder.glob("run/runs/*/result.json"):  # of `ganmc compress`
        checkpoint = result.parent / "checkpoints" / "best.ckpt"
        files |= {file: file.stat().st_mtime_ns for file in (result, checkpoint)}
    return files


def differences(actual: Path, expected: Path) -> list[str]:
    """Return the files and values that differ from those of an undisturbed command."""
    names = [{str(file.relative_to(folder)) for file in files_of(folder)} for folder in (actual, expected)]
    found = [f"missing: {name}" for name in sorted(names[1] - names[0])]
    found += [f"additional: {name}" for name in sorted(names[0] - names[1])]
    for name in sorted(names[0] & names[1]):
        found += [f"{name}: {text}" for text in _compare(actual, expected, name)]
    return found


def files_of(folder: Path) -> list[Path]:
    """Return the files in the output folder of a command, except logs of workers."""
    return [file for file in (folder / "run").rglob("*") if file.is_file() and file.name != "log.txt"]


def _compare(actual: Path, expected: Path, name: str) -> list[str]:
    files, suffix = (actual / name, expected / name), Path(name).suffix
    if suffix == ".ckpt":
        return _compare_checkpoints(*files)
    if suffix == ".csv":
        rows = [read_metrics(file) for file in files]
        return [] if rows[0] == rows[1] else [f"{len(rows[0])} rows, expected {len(rows[1])} equal ones"]
    contents = [
        _without_origin(file.read_bytes(), folder) for file, folder in zip(files, (actual, expected), strict=True)
    ]
    if suffix == ".json" and Path(name).name != "run_state.json":
        values = [dict(leaves(json.loads(content))) for content in contents]
        keys = sorted({key for each in values for key in each if repr(values[0].get(key)) != repr(values[1].get(key))})
        return [f"{key} is {values[0].get(key)}, expected {values[1].get(key)}" for key in keys[:3]]
    compared = suffix in (".png", ".yaml", ".safetensors", ".onnx", ".c", ".h")
    return ["other bytes"] if compared and contents[0] != contents[1] else []


def _without_origin(content: bytes, folder: Path) -> bytes:
    """Remove absolute paths and times of creation, which exported files contain."""
    return CREATED.sub(b"", content.replace(bytes(folder), b""))


def _compare_checkpoints(actual: Path, expected: Path) -> list[str]:
    first, second = (torch.load(file, weights_only=True) for file in (actual, expected))
    if first.keys() != second.keys():
        return [f"keys {sorted(first.keys() ^ second.keys())}"]
    return [key for key in WEIGHTS if key in first and not _equal(first[key], second[key])]


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    return bool(first == second)
