"""Run the code blocks of README and documentation, page by page, with reduced settings.

The blocks of a page run in order in one folder: shell commands through ``main``, complete YAML configurations as
trainings, Python in one namespace. A block whose first line is a comment with a file name is written to that file.
Blocks and commands in ``PARSED_ONLY`` are parsed with their real parser but not run.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from ganmc_lightning.cli import main
from ganmc_lightning.experiments.config import load_experiment

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
BASE = "configs/digits/distillation.yaml"  # completes fragments
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|ya?ml))\n")
TRAINING = ("fit", "validate", "test", "predict", "forest", "tabular-study")  # with --print_config

PARSED_ONLY = {  # pattern of a block or command: reason
    r"^ganmc reproduce .*--on ": "requires a cluster",
    r"^ganmc reproduce .*--jobs ": "starts processes, as tests/experiments does",
    r"^ganmc reproduce (?!digits( |$)|--list)": "tests/configs runs every experiment",
    r"^ganmc export runs/cifar10/": "trained on a GPU",
    r"devices:? \d": "requires several devices",
    r"\"torchvision:resnet50\"": "weights are downloaded",
    r"OxfordIIITPet": "images are downloaded",
    r"executorch": "the package is in no extra",
}
EXTRA_ARGUMENTS = {  # pattern of a command: arguments that shorten it; the first pattern that matches
    "evaluate": ["--num-samples", "40", "--num-students", "1"],
    "compress .*--student ": ["--epochs", "1", "--batch-size", "8", "--format", "safetensors"],
    "compress": ["--time", "1", "--students", "tree"],
    "forest": [
        *("--max_trees", "2", "--synthetic_ratio", "1"),
        *("--teacher", "sklearn.ensemble.RandomForestClassifier", "--teacher.n_estimators", "10"),
    ],
    "profile": ["--benchmark-seconds", "0.01"],
}
SHORTER = {  # in Python blocks
    r"epochs=\d+": "epochs=1",
    r"(Forest\w+)\(500": r"\1(20",
    r"max_nodes=300": "max_nodes=300, student='tree'",
    r"(compress_table\(.*)\)$": r"\1, seconds=1, students=['tree'])",
}
UNCHECKED = (
    "cd ",
    ". ",
    "export ",
    "python3 -m venv ",
    "torchrun ",
    "sbatch ",
    "wandb ",
    "npm ",
)  # shell commands without arguments to check


class Block(NamedTuple):
    """A code block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read_blocks(page: Path) -> list[Block]:
    """Find the code blocks of a page; the line number is that of the first line of code."""
    content = page.read_text(encoding="utf-8")
    blocks = []
    for found in FENCE.finditer(content):
        indent = len(found["indent"])
        text = "".join(line[indent:] for line in found["text"].splitlines(keepends=True))
        blocks.append(Block(page, content.count("\n", 0, found.start()) + 2, found["language"], text))
    return blocks


def read_commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Split a shell block into commands, each with its page and line."""
    start, text = block.line, ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        start, text = (start, text + line) if text else (number, line)
        if text.endswith("\\"):
            text = text[:-1]
            continue
        for command in re.split(r" && | ; ", text):
            if words := shlex.split(command, comments=True):
                yield f"{block.page.relative_to(ROOT)}:{start}", words
        text = ""


def reason_not_to_run(text: str) -> str | None:
    return next((reason for pattern, reason in PARSED_ONLY.items() if re.search(pattern, text)), None)


def parse_command(arguments: list[str]) -> int:
    """Parse the arguments of a command without running it."""
    command = arguments[0]
    if command in TRAINING:
        return main([*arguments, "--print_config"])
    module = f"ganmc_lightning.cli.{command.replace('-', '_')}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module(f"{module}_arguments"), "validate_arguments", lambda arguments: None)
        patch.setattr(import_module(module), "run", lambda arguments: 0)
        return main(arguments)


def run_ganmc(arguments: list[str]) -> int:
    if reason_not_to_run(shlex.join(["ganmc", *arguments])):
        return parse_command(arguments)
    extra = (words for pattern, words in EXTRA_ARGUMENTS.items() if re.match(pattern, shlex.join(arguments)))
    return main([*arguments, *next(extra, [])])


def check_shell_command(words: list[str]) -> None:
    """Validate a command that is not run: targets of make, extras of pip, modules and files of Python."""
    match words:
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), target
        case ["pip", "install" | "download", *names]:
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
                "optional-dependencies"
            ]
            own = [found[1] for name in names if (found := re.match(r"(?:\.|ganmc-lightning)\[(.*?)\]", name))]
            assert set(",".join(own).split(",")) - {""} <= set(extras), names
        case ["python" | "python3", "-m", module, *_] if module != "venv":
            assert find_spec(module) or (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module
        case ["python" | "python3", file, *_] if file.endswith(".py"):
            assert (ROOT / file).is_file(), file
        case _:
            assert shlex.join(words).startswith(UNCHECKED), "add a check of this command to tests/docs/test_pages.py"


def run_shell(block: Block, failures: list[str], read_output: Callable[[], Any]) -> None:
    for place, words in read_commands(block):
        if Path(words[0]).name == "ganmc" or words[:3] == ["python", "-m", "ganmc_lightning"]:
            arguments = words[1:] if Path(words[0]).name == "ganmc" else words[3:]
            read_output()
            status = run_ganmc(arguments)
            if status != 0:
                failures.append(f"{place}: {shlex.join(words)}: exit status {status}: {read_output().err.strip()}")
            continue
        try:
            check_shell_command(words)
        except AssertionError as error:
            failures.append(f"{place}: {shlex.join(words)}: {error}")


def is_complete(content: dict[str, Any]) -> bool:
    return "class_path" in content.get("model", {}) and "data" in content


def run_yaml(block: Block, folder: Path, tiny_training: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Train with a complete configuration; parse an experiment, or a fragment of a configuration.

    A fragment is combined with the complete configuration before it, or with that of a distillation.
    """
    file = folder / "configs" / "digits" / f"line_{block.line:04d}.yaml"  # an experiment names configurations beside it
    file.write_text(block.text, encoding="utf-8")
    content = yaml.safe_load(block.text)
    if "experiment" in content:
        return 0 if load_experiment(file).stages else 1
    if not is_complete(content):
        written = sorted(file.parent.glob("line_*.yaml"))
        earlier = [path for path in written if is_complete(yaml.safe_load(path.read_text(encoding="utf-8")))]
        options = ["--config", str(file), "--print_config"]
        parsed = any(main(["fit", "--config", str(base), *options]) == 0 for base in (BASE, *earlier[-1:]))
        return 0 if parsed else 2
    if reason_not_to_run(block.text):
        return main(["fit", "--config", str(file), "--print_config"])
    file.write_text(yaml.safe_dump(tiny_training(content), sort_keys=False), encoding="utf-8")
    return main(["fit", "--config", str(file)])


def run_python(block: Block, namespace: dict[str, Any]) -> None:
    text = block.text
    if name := FILE_NAME.match(text):
        import_module(name[1].removesuffix(".py").replace("/", "."))
        return
    if reason_not_to_run(text):
        compile(text, block.page.name, "exec")
        return
    for pattern, replacement in SHORTER.items():
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    exec(compile("\n" * (block.line - 1) + text, block.page.name, "exec"), namespace)


def write_named_blocks(blocks: list[Block], folder: Path, python_path: Path) -> None:
    for block in blocks:
        if name := FILE_NAME.match(block.text):
            for target in (folder / name[1], python_path / name[1]):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text, encoding="utf-8")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's hints on loggers and workers
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(
    page: Path,
    project: Callable[[str], Path],
    python_path: Path,
    tiny_training: Callable[[dict[str, Any]], dict[str, Any]],
    user_objects: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
):
    blocks = read_blocks(page)
    folder = project("\n".join(block.text for block in blocks))
    write_named_blocks(blocks, folder, python_path)
    failures: list[str] = []
    namespace = {"__name__": "page", **user_objects}
    for block in blocks:
        capsys.readouterr()
        try:
            if block.language in ("sh", "bash"):
                run_shell(block, failures, capsys.readouterr)
            elif block.language == "yaml" and not FILE_NAME.match(block.text):
                if (status := run_yaml(block, folder, tiny_training)) != 0:
                    failures.append(f"{block.place}: exit status {status}: {capsys.readouterr().err.strip()}")
            elif block.language == "python":
                run_python(block, namespace)
        except Exception as error:  # of any block, reported with its place
            failures.append(f"{block.place}: {type(error).__name__}: {error}")
    assert not failures, "\n".join([f"{len(failures)} blocks failed", *failures])


def test_blocks_and_commands_have_line_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "Text\n\n```sh\n# comment\nganmc a \\\n    --b 'c d'\nmake x && ganmc e  # text\n```\n"
        "\n- item\n\n  ```yaml\n  a: 1\n  ```\n"
    )
    shell, nested = read_blocks(page)
    assert list(read_commands(shell)) == [
        ("page.md:5", ["ganmc", "a", "--b", "c d"]),
        ("page.md:7", ["make", "x"]),
        ("page.md:7", ["ganmc", "e"]),
    ]
    assert (nested.place, nested.text) == ("page.md:13", "a: 1\n")
