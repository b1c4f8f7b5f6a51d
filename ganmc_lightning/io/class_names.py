"""Unicode normalization and labels of class names."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from ganmc_lightning.exceptions import ConfigurationError


def normalize_name(name: str) -> str:
    """Return a class name in Unicode's composed form (NFC).

    File systems and archives use different forms, e.g. ``é`` as one character, or as an ``e`` followed by an accent.

    Example:
        >>> len(normalize_name("cafe" + chr(0x301)))
        4
    """
    return unicodedata.normalize("NFC", name)


def labels_from_names(names: Sequence[str], class_names: Sequence[str], num_classes: int, name: str) -> tuple[int, ...]:
    """Return the label of each class name, found by name and not by position.

    All names must be class names of the data set, or all must be class numbers, e.g. the folders ``000``, ``001``, ...
    that ``ganmc sample`` writes.

    Args:
        names: distinct names, e.g. of folders.
        class_names: class names of the data set in the order of the labels; empty for unnamed classes.
        num_classes: K, number of classes of the data set.
        name: file or folder, for error messages.

    Returns:
        The label of each name, 0..K-1.

    Raises:
        ConfigurationError: a name is neither a class name nor a class number, or names and numbers result in different
            classes.

    Example:
        >>> labels_from_names(["cat", "bee"], ["ant", "bee", "cat"], 3, "generated")
        (2, 1)
        >>> labels_from_names(["000", "002"], [], 3, "generated")
        (0, 2)
    """
    label_of = {normalize_name(name): label for label, name in enumerate(class_names)}
    by_name = tuple(label_of[name] for name in map(normalize_name, names) if name in label_of)
    by_number = tuple(int(name) for name in names if _is_number(name) and int(name) < num_classes)
    named, numbered = len(by_name) == len(names), len(by_number) == len(names)
    if not named and not numbered:
        raise _unknown(names, label_of, num_classes, name)
    padded = all(name == f"{int(name):03d}" for name in names) if numbered else False
    if named and padded and by_name != by_number:
        raise _ambiguous(names, name)
    if named:
        return by_name
    if any(_is_number(class_names[k]) and int(class_names[k]) != k for k in by_number if class_names):
        raise _ambiguous(names, name)
    return by_number


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _ambiguous(names: Sequence[str], name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name}: {_list(names)} are ambiguous: class numbers, or names of other classes; store the samples in a .npz "
        "file with images and labels"
    )


def _unknown(names: Sequence[str], label_of: Mapping[str, int], num_classes: int, name: str) -> ConfigurationError:
    if label_of:
        wrong = [name for name in names if normalize_name(name) not in label_of]
        expected = f"class names of the data set ({_list(list(label_of))})"
    else:
        wrong = [name for name in names if not _is_number(name) or int(name) >= num_classes]
        expected = f"the class numbers 0..{num_classes - 1} of unnamed classes"
    return ConfigurationError(f"{name}: got {_list(wrong)}, expected {expected}")


def _list(names: Sequence[str], most: int = 10) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest
