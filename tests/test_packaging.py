"""Metadata, documentation and notebooks are consistent with the package."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import chain
from pathlib import Path

import ganmc_lightning

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(PYPROJECT)["project"]
REQUIREMENT = re.compile(r'^\s*"([A-Za-z][\w.-]*)(\[[\w,]+\])?[^"]*",(.*)$', re.MULTILINE)


def test_version_is_equal_in_all_files():
    assert PROJECT["version"] == ganmc_lightning.__version__
    assert f"## [{ganmc_lightning.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    wheel = f'"ganmc_lightning-{ganmc_lightning.__version__}-py3-none-any.whl"'
    assert all(wheel in example.read_text(encoding="utf-8") for example in (ROOT / "examples").glob("*.py"))


def test_every_requirement_has_a_reason():
    lines = REQUIREMENT.findall(PYPROJECT[PYPROJECT.index("dependencies = [") : PYPROJECT.index("[project.scripts]")])
    listed = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    assert len(lines) == len(listed)
    assert [name for name, _, comment in lines if not re.match(r"\s+# \S+", comment)] == []


def test_constraints_pin_every_dependency():
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==\S+$", constraints, re.MULTILINE))
    needed = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    assert {re.match(r"[\w.-]+", line)[0].lower() for line in needed} - {PROJECT["name"]} <= pinned
    assert "://" not in constraints


def test_wheel_contains_the_configurations():
    wheel = tomllib.loads(PYPROJECT)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"configs": "ganmc_lightning/configs"}


def test_notebooks_equal_the_examples():
    """``make notebooks`` was run, and outputs were removed."""
    examples = sorted((ROOT / "examples").glob("*.py"))
    assert [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))] == [path.stem for path in examples]
    for example in examples:
        notebook = json.loads((ROOT / "notebooks" / f"{example.stem}.ipynb").read_text(encoding="utf-8"))
        _, *cells = re.split(r"^# %%.*\n", example.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert len(cells) == len(notebook["cells"])
        for text, cell in zip(cells, notebook["cells"], strict=True):
            if cell["cell_type"] == "markdown":
                text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
            assert "".join(cell["source"]) == text.strip()
            assert cell.get("outputs", []) == []
