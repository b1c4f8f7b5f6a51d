"""Reading a YAML file so that every complaint names the file and the key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

import yaml

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.yaml_text import load_yaml


def read_yaml(path: Path) -> object:
    """Read one YAML document.

    Raises:
        ConfigurationError: the file is missing, is no YAML, exceeds a limit of
            :func:`~ganmc_lightning.io.yaml_text.check_yaml`, or says one key twice (YAML would keep the last).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error})") from None
    try:
        value = load_yaml(text)
        _refuse_duplicates(path, yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    return value


def _refuse_duplicates(path: Path, node: object) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise ConfigurationError(f"{path}: key '{key.value}' is given twice (line {line}); keep one")
                seen.add(key.value)
            _refuse_duplicates(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(path, item)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list them all.

    Example:
        >>> suggestion("techer", ["teacher", "student"])
        "did you mean 'teacher'?"
        >>> suggestion("x", ["teacher", "student"])
        'known: teacher, student'
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}"


class Section:
    """One mapping of a YAML file, emptied key by key; what is left over at the end was a mistake.

    Args:
        file: named in every complaint.
        key: where the mapping stands in the file ("" for the whole file), named likewise.
        value: what was read there.

    Raises:
        ConfigurationError: from every method, when a key is missing, of the wrong type or unknown.
    """

    def __init__(self, file: Path, key: str, value: object) -> None:
        self.file = file
        self.key = key
        if not isinstance(value, dict):
            raise self.error("", f"must be a mapping of keys to values, found {value!r}")
        self._left: dict[object, object] = dict(value)
        self._taken: list[str] = []

    def error(self, name: str, problem: str) -> ConfigurationError:
        """Make the exception that names the file and the key."""
        where = ".".join(part for part in (self.key, name) if part)
        return ConfigurationError(f"{self.file}: '{where}' {problem}" if where else f"{self.file}: {problem}")

    def has(self, name: str) -> bool:
        """Tell whether the key is given and still to be read."""
        return name in self._left

    def take(self, name: str, default: object = None) -> object:
        """Read a value of any type."""
        self._taken.append(name)
        return self._left.pop(name, default)

    def text(self, name: str, default: str | None = None) -> str:
        """Read a string; required unless there is a default."""
        value = self.take(name, default)
        if value is None and default is None:
            raise self.error(name, "is missing")
        if not isinstance(value, str) or (not value and default is None):
            raise self.error(name, f"must be text, found {value!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Read true or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise self.error(name, f"must be true or false, found {value!r}")
        return value

    def number(self, name: str) -> float | None:
        """Read a number; None when it is not given."""
        value = self.take(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self.error(name, f"must be a number, found {value!r}")
        return value

    def texts(self, name: str, required: bool = False) -> tuple[str, ...]:
        """Read one string or a list of strings."""
        value = self.take(name)
        items = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self.error(name, f"must be text or a list of texts, found {value!r}")
        if required and not items:
            raise self.error(name, "is missing")
        return tuple(items)

    def mapping(self, name: str) -> dict[str, object]:
        """Read a mapping from strings to anything; empty when it is not given."""
        value = self.take(name, {})
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise self.error(name, f"must be a mapping of names to values, found {value!r}")
        return value

    def section(self, name: str) -> Section:
        """Read a mapping to be emptied in turn; an empty one when it is not given."""
        return Section(self.file, f"{self.key}.{name}" if self.key else name, self.take(name, {}))

    def sections(self, name: str) -> list[Section]:
        """Read one mapping or a list of mappings."""
        value = self.take(name, [])
        items = value if isinstance(value, list) else [value]
        key = f"{self.key}.{name}" if self.key else name
        return [Section(self.file, f"{key}[{index}]", item) for index, item in enumerate(items)]

    def close(self) -> None:
        """Refuse whatever was never read."""
        for name in self._left:
            raise self.error(str(name), f"is not a key here; {suggestion(str(name), self._taken)}")
