"""YAML from others: aliases let 400 bytes stand for 10 ** 10 values, and brackets nest without end."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

MAX_VALUES = 100_000
"""Keys and values of a document, those behind an alias counted at each use."""
MAX_DEPTH = 40
"""Mappings and lists within one another."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may be built without libyaml


class LimitError(yaml.YAMLError):
    """A document exceeds a limit, refers to itself, or holds a value that cannot be read."""


def load_yaml(text: str) -> object:
    """Read one document of plain values.

    Args:
        text: the document. Anchors and aliases are allowed.

    Raises:
        yaml.YAMLError: it is not YAML, or exceeds a limit of :func:`check_yaml`.

    Example:
        >>> load_yaml("{a: &x [1, 2], b: *x}")
        {'a': [1, 2], 'b': [1, 2]}
    """
    check_yaml(text)
    try:
        return yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise
    except Exception as error:  # PyYAML lets through what Python makes of a month 13 or of 5000 digits
        raise LimitError(f"a value cannot be read: {error}") from error


def check_yaml(text: str) -> None:
    """Refuse a document before anything is built from it, in a time that is linear in its length.

    Args:
        text: the document.

    Raises:
        LimitError: it has more than :data:`MAX_VALUES` values, counted with its aliases, is nested more than
            :data:`MAX_DEPTH` deep, or an alias is within what it refers to.
        yaml.YAMLError: it is not YAML.
    """
    sizes: dict[str | None, int | None] = {}  # values behind each anchor; None while its end is not reached
    opened: list[tuple[str | None, int]] = []
    total = 0
    for event in _events(text):
        if isinstance(event, yaml.CollectionStartEvent):
            if len(opened) == MAX_DEPTH:
                raise LimitError(f"it is nested more than {MAX_DEPTH} deep ({_place(event)})")
            opened.append((event.anchor, total))
            if event.anchor is not None:
                sizes[event.anchor] = None
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
            _check_text(event.value)
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(event.anchor, 0)  # an anchor that is missing is found when the document is built
            if size is None:
                raise LimitError(f"the alias *{event.anchor} refers to what it is within ({_place(event)})")
            total += size
        if total > MAX_VALUES:
            raise LimitError(f"it has more than {MAX_VALUES} values, aliases counted at each use ({_place(event)})")


def _events(text: str) -> Iterator[yaml.Event]:
    """Parse a document; newer releases of libyaml limit the nesting themselves, while they scan."""
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        if "nesting depth" in str(error):
            raise LimitError(f"it is nested more than {MAX_DEPTH} deep") from error
        raise


def _check_text(value: str) -> None:
    """Check text that may be parsed in turn: jsonargparse does so where a number is expected."""
    if "&" in value and "*" in value:
        try:
            check_yaml(value)
        except LimitError:
            raise
        except yaml.YAMLError:
            pass  # plain text


def _place(event: yaml.Event) -> str:
    return "line unknown" if event.start_mark is None else f"line {event.start_mark.line + 1}"
