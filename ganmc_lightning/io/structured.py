"""Read YAML and JSON files with one-line errors, validate them with pydantic, and write them atomically."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic_core import ErrorDetails, PydanticCustomError

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.input_files import read_text
from ganmc_lightning.io.yaml_text import load_yaml

T = TypeVar("T")

# Expected values of pydantic's error types, in terms of YAML.
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "non-empty text",
    "path_type": "a path",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping",
    "invalid_key": "text as key",
    "too_short": "at least one entry",
    "finite_number": "a finite number",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
}


def load_yaml_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that contains one mapping.

    Raises:
        ConfigurationError: the file is missing, is not YAML, is not a mapping, exceeds a limit of
            :func:`~ganmc_lightning.io.yaml_text.check_yaml`, or has a duplicate key (YAML would keep the last).
    """
    text = read_text(path)
    try:
        value = load_yaml(text)
        _refuse_duplicate_keys(path, yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: got {shorten(value)}, expected a mapping")
    return value


def _refuse_duplicate_keys(path: Path, node: object) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise ConfigurationError(f"{path}, line {key.start_mark.line + 1}: duplicate key '{key.value}'")
                seen.add(key.value)
            _refuse_duplicate_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicate_keys(path, item)


def write_yaml(path: Path, value: object) -> None:
    """Write YAML atomically, with keys in insertion order."""
    with atomic_write(path) as file:
        yaml.safe_dump(value, file, sort_keys=False)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; return None if the file is missing or contains anything else."""
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError):  # ConfigurationError is a ValueError
        return None
    return value if isinstance(value, dict) else None


def write_json(path: Path, value: object) -> None:
    """Write valid JSON atomically; NaN and infinities become null."""
    with atomic_write(path) as file:
        json.dump(_finite(value), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def validate(schema: type[T], value: object, path: Path, context: Mapping[str, object] | None = None) -> T:
    """Convert the content of a file to a pydantic dataclass.

    Args:
        schema: a pydantic dataclass.
        value: mappings, lists and plain values from YAML or JSON.
        path: the file, for error messages.
        context: values for validators, as ``ValidationInfo.context``.

    Raises:
        ConfigurationError: one line ``FILE: KEY: got ..., expected ...`` on the first invalid key; unknown keys have
            priority, because a misspelled key is also a missing one.
    """
    try:
        return TypeAdapter(schema).validate_python(value, context=dict(context or {}))
    except ValidationError as caught:
        errors = sorted(caught.errors(), key=lambda error: error["type"] != "unexpected_keyword_argument")
        raise ConfigurationError(f"{path}: {' '.join(_message(schema, errors[0]).split())}") from None


def key_error(key: str, problem: str) -> PydanticCustomError:
    """Return the error of a validator for a key inside its own, such as ``rows[1].paper``."""
    return PydanticCustomError("key_error", "{problem}", {"key": key, "problem": problem})


def shorten(value: object) -> str:
    """Return the representation of a value, truncated to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the closest known name, or all known names.

    Example:
        >>> suggestion("techer", ["teacher", "student"])
        "did you mean 'teacher'?"
        >>> suggestion("x", ["teacher", "student"])
        'expected one of: teacher, student'
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"expected one of: {', '.join(names) or 'none'}"


def _message(schema: type, error: ErrorDetails) -> str:
    location, kind, context = error["loc"], error["type"], error.get("ctx", {})
    if kind == "unexpected_keyword_argument":
        problem = f"unexpected key, {suggestion(str(location[-1]), _keys(schema, location[:-1]))}"
    elif kind in ("missing", "missing_argument"):
        problem = "required key is missing"
    elif kind in _EXPECTED:
        problem = f"got {shorten(error['input'])}, expected {_EXPECTED[kind].format(**context)}"
    else:
        problem = str(context.get("problem") or context.get("error") or error["msg"])
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location if step != "[key]")
    key = f"{key}.{context['key']}" if "key" in context else key
    return f"{key.strip('.')}: {problem}" if key else problem


def _keys(schema: Any, location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the dataclass at a location inside a schema."""
    for step in location:
        if is_pydantic_dataclass(schema):
            schema = _fields(schema)[str(step)]
        else:  # Mapping[key, item] or tuple[item, ...]
            schema = get_args(schema)[0 if isinstance(step, int) else -1]
    return list(_fields(schema))


def _fields(schema: Any) -> dict[str, Any]:
    fields = schema.__pydantic_fields__.items()
    return {field.alias or name: field.annotation for name, field in fields if field.init is not False}
