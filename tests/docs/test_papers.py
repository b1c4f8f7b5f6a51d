"""The tables of docs/papers.md state the values of the shipped configurations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "papers.md"
FILE = re.compile(r"`([\w/]+\.yaml)`")
SETTING = re.compile(r"`([\w.]+): ([^`]+)`")


def stated_settings() -> list[tuple[str, int, str, str]]:
    """Return file, line, key and value of each setting in the third column; the file is the last one named above."""
    found, file = [], ""
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("|"):
            found += [(file, number, key, value) for key, value in SETTING.findall(line.split("|")[3])]
        elif named := FILE.findall(line):
            file = named[0]
    return found


def find_value(content: Any, key: str) -> Any:
    """Return the value of a dotted key without ``init_args``; of an object, its class if it has no arguments."""
    for part in key.split("."):
        content = content[part] if part in content else content["init_args"][part]
    return content["class_path"] if isinstance(content, dict) and set(content) == {"class_path"} else content


@pytest.mark.parametrize(("file", "line", "key", "value"), stated_settings())
def test_value_is_that_of_the_configuration(file: str, line: int, key: str, value: str):
    content = yaml.safe_load((ROOT / "configs" / file).read_text(encoding="utf-8"))
    actual = find_value(content, key)
    if isinstance(actual, str):  # a class
        actual = actual.rpartition(".")[2]
    assert actual == yaml.safe_load(value), f"docs/papers.md:{line}: {file}"


def test_every_paper_has_settings():
    assert len(stated_settings()) > 40
    assert {file.partition("/")[0] for file, *_ in stated_settings()} >= {"cifar10", "magic", "mnist_64", "imagenet"}
