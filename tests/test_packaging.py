"""Metadata, documentation and notebooks are consistent with the package."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import ganmc_lightning
from ganmc_lightning.cli import main
from ganmc_lightning.experiments.config import load_experiment

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(PYPROJECT)["project"]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
BASE = ROOT / "configs" / "digits" / "distillation.yaml"
REQUIREMENT = re.compile(r'^\s*"([A-Za-z][\w.-]*)(\[[\w,]+\])?[^"]*",(.*)$', re.MULTILINE)


def fenced(language: str) -> list[tuple[str, str]]:
    """Find every code block of a language, as pairs of page and text."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [(page.name, block) for page in PAGES for block in pattern.findall(page.read_text(encoding="utf-8"))]


def numbered(blocks: list[tuple[str, str]]) -> list[object]:
    return [pytest.param(block, id=f"{page}-{number}") for number, (page, block) in enumerate(blocks)]


YAML = numbered(fenced("yaml"))
PYTHON = numbered(fenced("python"))
README = numbered([(page, block) for page, block in fenced("python") if page == "README.md"])
# fit and others: see the YAML test
OWN_PARSERS = ("evaluate", "export", "forest", "profile", "reproduce", "sample", "tabular-study")


@pytest.fixture(scope="session")
def my_project(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Create the package ``my_project`` from the files that the pages contain.

    It stays importable: the parser imports the modules of all subclasses that the process has defined.
    """
    folder = tmp_path_factory.mktemp("my_project")
    for _, block in fenced("python"):
        if named := re.match(r"# (my_project/\w+\.py)\n", block):
            file = folder / named[1]
            file.parent.mkdir(exist_ok=True)
            file.write_text(block, encoding="utf-8")
    sys.path.insert(0, str(folder))


def test_version_is_equal_in_all_files():
    assert PROJECT["version"] == ganmc_lightning.__version__
    assert f"## [{ganmc_lightning.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


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
    needed = {re.match(r"[\w.-]+", line)[0].lower() for line in PROJECT["dependencies"]}
    assert needed <= pinned
    assert "://" not in constraints


def test_wheel_contains_the_configurations():
    wheel = tomllib.loads(PYPROJECT)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"configs": "ganmc_lightning/configs"}


@pytest.mark.usefixtures("my_project")
@pytest.mark.parametrize("block", YAML)
def test_yaml_blocks_are_valid(block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A fragment is combined with a full configuration; an experiment is read in the folder of its configurations."""
    if block.startswith("experiment:"):
        folder = shutil.copytree(BASE.parent, tmp_path / "configs")
        (folder / "page.yaml").write_text(block, encoding="utf-8")
        assert load_experiment(folder / "page.yaml").stages
        return
    file = tmp_path / "page.yaml"
    file.write_text(block, encoding="utf-8")
    content = yaml.safe_load(block)
    whole = "class_path" in content.get("model", {}) and "data" in content
    below = [] if whole else ["--config", str(BASE)]
    status = main(["fit", *below, "--config", str(file), "--print_config"])
    assert status == 0, capsys.readouterr().err


@pytest.mark.parametrize("block", PYTHON)
def test_python_blocks_compile_and_their_imports_exist(block: str):
    tree = ast.parse(block)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), "page", "exec"), {})


@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's hints on loggers and workers
@pytest.mark.parametrize("block", README)
def test_python_of_the_readme_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    short = re.sub(r"max_epochs=\d+", "max_epochs=1", block).replace("Classifier(500,", "Classifier(20,")
    assert short != block
    exec(compile(short, "README", "exec"), {})


@pytest.mark.parametrize("command", OWN_PARSERS)
def test_options_in_shell_blocks_exist(command: str, capsys: pytest.CaptureFixture[str]):
    assert main([command, "--help"]) == 0
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    for page, block in fenced("sh"):
        for line in re.findall(rf"^ganmc {command} (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            used = set(re.findall(r"--[\w-]+", line.partition("#")[0]))
            assert used <= known, f"{page}: ganmc {command} {line}"


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
