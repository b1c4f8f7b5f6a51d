"""Load YAML with limits, because 400 bytes with aliases can expand to 10 ** 10 values, and nesting is unbounded."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

MAX_VALUES = 100_000
"""Maximum number of keys and values of a document; an alias counts at each use."""
MAX_DEPTH = 40
"""Maximum nesting of mappings and lists."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may be built without libyaml


class LimitError(yaml.YAMLError):
    """A document exceeds a limit, refers to itself, or contains an invalid value."""


def load_yaml(text: str) -> object:
    """Load one document of plain values.

    Args:
        text: the document; anchors and aliases are allowed.

    Raises:
        yaml.YAMLError: the text is not YAML, or exceeds a limit of :func:`check_yaml`.

    Example:
        >>> load_yaml("{a: &x [1, 2], b: *x}")
        {'a': [1, 2], 'b': [1, 2]}
    """
    check_yaml(text)
    try:
        return yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise
    except Exception as error:  # PyYAML does not convert Python's exceptions, e.g. for month 13 or 5000 digits
        raise LimitError(f"a value cannot be read: {error}") from error


def check_yaml(text: str) -> None:
    """Check the limits of a document before loading it, in time linear in its length.

    Args:
        text: the document.

    Raises:
        LimitError: more than :data:`MAX_VALUES` values including aliases, more than :data:`MAX_DEPTH` levels, or an
            alias inside its own anchor.
        yaml.YAMLError: the text is not YAML.
    """
    sizes: dict[str | None, int | None] = {}  # number of values of each anchor; None until its end
    opened: list[tuple[str | None, int]] = []
    total = 0
    for event in _events(text):
        if isinstance(event, yaml.CollectionStartEvent):
            if len(opened) == MAX_DEPTH:
                raise LimitError(f"nested more than {MAX_DEPTH} deep ({_position(event)})")
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
            size = sizes.get(event.anchor, 0)  # the loader reports a missing anchor
            if size is None:
                raise LimitError(f"the alias *{event.anchor} is inside its own anchor ({_position(event)})")
            total += size
        if total > MAX_VALUES:
            raise LimitError(f"more than {MAX_VALUES} values, aliases counted at each use ({_position(event)})")


def _events(text: str) -> Iterator[yaml.Event]:
    """Parse a document; newer releases of libyaml also limit the nesting."""
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        if "nesting depth" in str(error):
            raise LimitError(f"nested more than {MAX_DEPTH} deep") from error
        raise


def _check_text(value: str) -> None:
    """Check text that jsonargparse may parse as YAML, as it does if a number is expected."""
    if "&" in value and "*" in value:
        try:
            check_yaml(value)
        except LimitError:
            raise
        except yaml.YAMLError:
            pass  # plain text


def _position(event: yaml.Event) -> str:
    return "unknown line" if event.start_mark is None else f"line {event.start_mark.line + 1}"
