from __future__ import annotations

import unicodedata

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.class_names import labels_from_names, normalize_name

ANIMALS = ("ant", "bee", "cat")


def test_both_unicode_forms_are_one_name() -> None:
    forms = {unicodedata.normalize(form, "müsli") for form in ("NFC", "NFD")}
    assert len(forms) == 2
    assert {normalize_name(name) for name in forms} == {"m\u00fcsli"}


@pytest.mark.parametrize(
    ("names", "class_names", "num_classes", "expected"),
    [
        (("cat", "ant"), ANIMALS, 3, (2, 0)),
        (("cat",), ANIMALS, 3, (2,)),
        (("000", "002"), ANIMALS, 3, (0, 2)),  # as `ganmc sample` names them
        (("002", "009"), (), 10, (2, 9)),
        (("2", "9"), (), 10, (2, 9)),
        (("3", "5"), tuple("0123456789"), 10, (3, 5)),
        (("003", "005"), tuple("0123456789"), 10, (3, 5)),
        (("2", "3"), ("1", "2", "3", "4"), 4, (1, 2)),  # names before numbers
        (("002", "004"), ("000", "002", "004"), 3, (1, 2)),  # 4 is not a class number
        (("mu\u0308sli",), ("apfel", "m\u00fcsli"), 2, (1,)),
        (("m\u00fcsli",), ("apfel", "mu\u0308sli"), 2, (1,)),
    ],
)
def test_labels(names, class_names, num_classes, expected) -> None:
    assert labels_from_names(names, class_names, num_classes, "set") == expected


@pytest.mark.parametrize(
    ("names", "class_names", "num_classes", "words"),
    [
        (("ant", "dog"), ANIMALS, 3, "set: got 'dog', expected class names of the data set"),
        (("ant", "001"), ANIMALS, 3, "got '001'"),
        (("003",), ANIMALS, 3, "got '003'"),
        (("Ant",), ANIMALS, 3, "got 'Ant'"),
        (("ant", "0"), (), 3, "got 'ant', expected the class numbers 0..2"),
        (("0", "3"), (), 3, "got '3'"),
        (("-1",), (), 3, "got '-1'"),
        (("\u0663",), (), 9, "got"),  # a digit, but not of ASCII
        (("000", "001"), ("1", "2", "3"), 3, "are ambiguous: class numbers, or names of other classes"),
        (("001", "002"), ("001", "002", "003"), 3, "are ambiguous: class numbers, or names of other classes"),
    ],
)
def test_refused(names, class_names, num_classes, words) -> None:
    with pytest.raises(ConfigurationError) as caught:
        labels_from_names(names, class_names, num_classes, "set")
    assert str(caught.value).startswith("set: ")
    assert words in str(caught.value)


def test_long_lists_are_cut() -> None:
    with pytest.raises(ConfigurationError, match=r"'7', '8', '9' and 90 more"):
        labels_from_names(["x"], [str(k) for k in range(100)], 100, "set")
