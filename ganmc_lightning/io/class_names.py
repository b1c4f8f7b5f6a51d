"""Names of classes: one Unicode form for all, and the label that a name has in a data set."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from ganmc_lightning.exceptions import ConfigurationError


def normalize_name(name: str) -> str:
    """Return a class name in Unicode's composed form (NFC).

    File systems and archives disagree about the form: the same name may hold one character ``é`` or an ``e`` followed
    by an accent.

    Example:
        >>> len(normalize_name("cafe" + chr(0x301)))
        4
    """
    return unicodedata.normalize("NFC", name)


def labels_of_names(names: Sequence[str], class_names: Sequence[str], num_classes: int, where: str) -> tuple[int, ...]:
    """Find the classes that names stand for, never by their position.

    Either all names are names of the data set's classes, or all are numbers of classes, such as the folders
    ``000``, ``001``, ... that ``ganmc sample`` writes.

    Args:
        names: distinct names, of folders for instance.
        class_names: names of the data set's classes in the order of their labels; empty where it has none.
        num_classes: K, the number of its classes.
        where: what to call the names in a message.

    Returns:
        The label of each name, 0..K-1.

    Raises:
        ConfigurationError: a name is neither the name nor the number of a class; or names and numbers lead to different
            classes.

    Example:
        >>> labels_of_names(["cat", "bee"], ["ant", "bee", "cat"], 3, "generated")
        (2, 1)
        >>> labels_of_names(["000", "002"], [], 3, "generated")
        (0, 2)
    """
    label_of = {normalize_name(name): label for label, name in enumerate(class_names)}
    by_name = tuple(label_of[name] for name in map(normalize_name, names) if name in label_of)
    by_number = tuple(int(name) for name in names if _is_number(name) and int(name) < num_classes)
    named, numbered = len(by_name) == len(names), len(by_number) == len(names)
    if not named and not numbered:
        raise _unknown(names, label_of, num_classes, where)
    padded = all(name == f"{int(name):03d}" for name in names) if numbered else False
    if named and padded and by_name != by_number:
        raise _ambiguous(names, where)
    if named:
        return by_name
    if any(_is_number(class_names[k]) and int(class_names[k]) != k for k in by_number if class_names):
        raise _ambiguous(names, where)
    return by_number


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _ambiguous(names: Sequence[str], where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: {_list(names)} may be numbers of classes or names of other classes: store the samples in an .npz "
        "file with images and labels"
    )


def _unknown(names: Sequence[str], label_of: Mapping[str, int], num_classes: int, where: str) -> ConfigurationError:
    if label_of:
        wrong = [name for name in names if normalize_name(name) not in label_of]
        expected = f"the names of its classes ({_list(list(label_of))})"
    else:
        wrong = [name for name in names if not _is_number(name) or int(name) >= num_classes]
        expected = f"the numbers 0..{num_classes - 1}, for its classes have no names"
    return ConfigurationError(
        f"{where}: got {_list(wrong)}, no class of the data set; expected {expected}: rename or remove"
    )


def _list(names: Sequence[str], most: int = 10) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest
