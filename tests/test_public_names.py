"""No public class or function name is defined twice in the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import ganmc_lightning

ROOT = Path(ganmc_lightning.__file__).parent
# Modules of subcommands share an interface: ganmc_lightning.cli calls these functions of each.
COMMAND_INTERFACE = {"add_arguments", "validate_arguments", "run"}


def definitions(root: Path) -> dict[str, list[str]]:
    """Files that define each public class and function at module level."""
    files: dict[str, list[str]] = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                files[node.name].append(str(path.relative_to(root)))
    return files


def test_definitions_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("class Pool: ...\ndef draw(): ...\ndef _draw(): ...\n")
    (tmp_path / "b.py").write_text("class Pool:\n    def draw(self): ...\n")
    assert definitions(tmp_path) == {"Pool": ["a.py", "b.py"], "draw": ["a.py"]}


def test_public_names_are_unique() -> None:
    twice = {name: files for name, files in definitions(ROOT).items() if len(files) > 1}
    for name in COMMAND_INTERFACE:
        assert all(file.startswith("cli/") for file in twice.pop(name, []))
    assert twice == {}
