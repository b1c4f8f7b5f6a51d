"""Validation of keys, class names and files of a training configuration before PyTorch is imported.

The parser of the command validates all of these and everything else, but its import takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import yaml

from ganmc_lightning.cli.config_files import config_paths
from ganmc_lightning.cli.signatures import PACKAGE, TRAINER, arguments_of, names_of
from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.input_files import read_text
from ganmc_lightning.io.yaml_text import load_yaml

SECTIONS = {
    "trainer": TRAINER,
    "data": f"{PACKAGE}.data.GANAugmentedDataModule",
    "checkpoint": f"{PACKAGE}.runs.checkpoint_callback.RunModelCheckpoint",
    "acceleration": f"{PACKAGE}.cli.acceleration.Acceleration",
}
"""Keys of a configuration file with the arguments of one class, and that class."""
KEYS = (*SECTIONS, "model", "seed_everything", "ckpt_path", "weights_only")
MAPPINGS = (*SECTIONS, "model")
KEYS_OF_COMMAND = {"validate": ("verbose",), "test": ("verbose",), "predict": ("return_predictions",)}
OPTIONS = ("config", "print_config", "help", "import")
_CLASS_PATH = re.compile(rf"{PACKAGE}(\.[A-Za-z_]\w*)+")
_OPTION = re.compile(r"--[A-Za-z_][\w.]*\+?")
_LOADERS = tuple(f"{PACKAGE}.networks.{name}" for name in ("load_network", "load_generator"))


def check_config_keys(arguments: Sequence[str]) -> None:
    """Validate the keys of configuration files and options, the names of this package's classes, and checkpoints.

    Args:
        arguments: command line without ``ganmc``; the subcommand first. The files of ``--config`` are valid YAML.

    Raises:
        ConfigurationError: an unknown key, option or class, or a missing checkpoint. The message contains the closest
            known name.

    Example:
        >>> check_config_keys(["fit", "--trainer.max_epoch", "5"])
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: --trainer.max_epoch: unknown key, did you mean 'max_epochs'?
    """
    command, *words = arguments
    keys = [*KEYS, *KEYS_OF_COMMAND.get(command, ())]
    option = command
    options = []
    for word in words:
        name, equals, value = word.partition("=")
        if _OPTION.fullmatch(name):
            _check_option(name, keys)
            option = name
            options.append(name)
        given = value if equals else word
        if given == "null" and option.removeprefix("--") in MAPPINGS:
            _check_mapping(None, option, arguments_of(SECTIONS.get(option.removeprefix("--"), "")))
        _check_class(given, option)
    files = [path for path in config_paths(words) if path.is_file()]
    for file in files:
        try:
            content = load_yaml(read_text(file))
        except yaml.YAMLError as error:  # a value that exceeds a limit
            raise ConfigurationError(f"{file}: {one_line(error)}") from error
        if isinstance(content, dict):
            _check_file(file, content, keys)
            # With several files or such an option, the path of this file may be overridden.
            if command == "fit" and len(files) == 1 and not any(".path" in word or "print_" in word for word in words):
                _check_checkpoints(file, content, options)


def _check_option(option: str, keys: Sequence[str]) -> None:
    first, *rest = option.removeprefix("--").removesuffix("+").split(".")
    if first not in (*keys, *OPTIONS):
        raise ConfigurationError(f"{option}: unknown option{_hint(first, keys, '--')}")
    known = arguments_of(SECTIONS[first]) if first in SECTIONS else None
    if rest and known is not None and rest[0] not in (*known, "help"):
        raise ConfigurationError(f"{option}: unknown key{_hint(rest[0], known)}")


def _check_file(file: Path, content: Mapping[str, object], keys: Sequence[str]) -> None:
    for key, value in content.items():
        if key not in keys:
            raise ConfigurationError(f"{file}: {key}: unknown key{_hint(str(key), keys)}")
        known = arguments_of(SECTIONS[key]) if key in SECTIONS else None
        if key in MAPPINGS:
            _check_mapping(value, f"{file}: {key}", known)
        if known is not None and isinstance(value, dict):
            for name in value:
                if name not in known:
                    raise ConfigurationError(f"{file}: {key}.{name}: unknown key{_hint(str(name), known)}")
    for position, value in _walk(content):
        _check_class(value, f"{file}: {position}")
        if isinstance(value, dict) and isinstance(value.get("init_args"), dict):
            known = arguments_of(str(value.get("class_path")))
            for name in value["init_args"]:
                if known is not None and name not in known:
                    raise ConfigurationError(
                        f"{file}: {position}.init_args.{name}: unknown argument of {value['class_path']}"
                        f"{_hint(str(name), known)}"
                    )


def _check_mapping(value: object, key: str, known: Sequence[str] | None) -> None:
    """Validate that the value of a section is a mapping, or the path of a file with one."""
    if not isinstance(value, dict | str):
        got = "null" if value is None else value
        names = ", ".join(known or ("class_path", "init_args"))
        raise ConfigurationError(f"{key}: got {got}, expected a mapping with keys of: {names}")


def _check_class(value: object, key: str) -> None:
    """Validate that a dotted path of this package exists up to its class or function."""
    if not isinstance(value, str) or not _CLASS_PATH.fullmatch(value):
        return
    module = PACKAGE
    for name in value.split(".")[1:]:
        names = names_of(module)
        if names is None:  # an attribute of a class
            return
        if name not in names and not name.startswith("_"):
            names = [other for other in names if other[0].isupper() == name[0].isupper()]  # modules or classes
            raise ConfigurationError(f"{key}: {value}: {module} has no '{name}'{_hint(name, names)}")
        module = f"{module}.{name}"


def _check_checkpoints(file: Path, content: Mapping[str, object], options: Sequence[str]) -> None:
    overridden = {_plain(option.removeprefix("--").removesuffix("+")) for option in options}
    for position, value in _walk(content):
        if not isinstance(value, dict) or value.get("class_path") not in _LOADERS:
            continue
        if any(f"{_plain(position)}.".startswith(f"{option}.") for option in overridden):
            continue
        arguments = value.get("init_args")
        path = arguments.get("path") if isinstance(arguments, dict) else None
        # A colon separates the parts of a reference to a network of another library.
        if isinstance(path, str) and ":" not in path and not Path(path).expanduser().exists():
            raise ConfigurationError(
                f"{file}: {position}.init_args.path: {path} not found, expected the checkpoint of an earlier run"
            )


def _plain(position: str) -> str:
    """Return a dotted position without ``init_args``, which options may omit."""
    return position.replace(".init_args", "")


def _walk(value: object, position: str = "") -> Iterator[tuple[str, object]]:
    """Yield dotted position and value of all values."""
    yield position, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _walk(item, f"{position}.{key}" if position else str(key))


def _hint(name: str, known: Sequence[str], prefix: str = "") -> str:
    names = {other.lower(): other for other in known}
    close = get_close_matches(name.lower(), names, n=1)
    return f", did you mean '{prefix}{names[close[0]]}'?" if close else f", expected one of: {', '.join(known)}"
