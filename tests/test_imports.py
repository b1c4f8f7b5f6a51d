"""Allowed imports between packages (CONTRIBUTING.md shows this table), and modules that are imported lazily."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ganmc_lightning

PACKAGE = "ganmc_lightning"
ROOT = Path(ganmc_lightning.__file__).parent
ANY = None

# package or top-level module -> packages that it may import, in addition to itself
ALLOWED = {
    "__init__": set(),
    "__main__": {"cli"},
    "exceptions": set(),
    "batch": {"exceptions"},
    "networks": {"batch", "io", "exceptions"},
    "losses": {"batch", "exceptions"},
    "io": {"exceptions"},
    "synthesizers": {"networks", "batch", "io", "exceptions"},
    "data": {"synthesizers", "batch", "io", "exceptions"},
    "metrics": {"losses", "networks", "batch", "io", "exceptions"},
    "modules": {"networks", "losses", "io.format_version", "batch", "exceptions"},
    "evaluation": {"metrics", "data", "synthesizers", "networks", "batch", "io", "exceptions"},
    "export": {"networks", "batch", "io", "exceptions"},
    "callbacks": {"evaluation", "metrics", "synthesizers", "networks", "batch", "io", "exceptions"},
    "cards": {"networks.profiling", "io", "exceptions"},
    "tabular": {"cards", "synthesizers", "networks", "data.scaling", "batch", "io", "exceptions"},
    "runs": {"batch", "networks.checkpoints", "io", "exceptions"},
    "compression": {
        *("batch", "callbacks", "cards", "data", "exceptions", "export", "io", "losses", "modules", "networks", "runs"),
        "synthesizers",
    },
    "experiments": {"runs", "io", "exceptions"},
    "cli": ANY,
}
# package -> third-party libraries; packages that are not listed may use any
LIBRARIES = {
    "__init__": set(),
    "__main__": set(),
    "exceptions": {"jsonargparse", "lightning"},  # inside functions only
    "batch": {"torch"},
    "networks": {"torch", "safetensors", "timm"},  # timm: inside functions only
    "losses": {"torch"},
    "io": {"filelock", "numpy", "torch", "torchvision", "PIL", "yaml", "pydantic", "pydantic_core"},
}


def imported(source, module, outside_functions=False):
    """Return the full names of the modules that a source imports; ``module`` is its own name, for relative imports."""
    names = set()
    stack = [ast.parse(source)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(filter(None, [module.rsplit(".", node.level)[0], base]))
            names.update(imported_module(base, alias.name) for alias in node.names)
        if not (outside_functions and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            stack.extend(ast.iter_child_nodes(node))
    return names


def imported_module(base, name):
    """Return the module that ``from base import name`` loads."""
    if base == PACKAGE and name in ganmc_lightning._LAZY_IMPORTS:
        return f"{PACKAGE}.{ganmc_lightning._LAZY_IMPORTS[name]}"
    path = ROOT.parent / base.replace(".", "/") / name
    return f"{base}.{name}" if path.is_dir() or path.with_suffix(".py").is_file() else base


def forbidden(module, names):
    """Return the imported names that the package of ``module`` may not import."""
    package = module.removeprefix(f"{PACKAGE}.").partition(".")[0]
    inside = {name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}.")}
    outside = {name.partition(".")[0] for name in names} - {PACKAGE} - sys.stdlib_module_names
    allowed = ALLOWED[package]
    wrong = set()
    if allowed is not ANY:
        permitted = [*allowed, package]
        wrong = {name for name in inside if not any(f"{name}.".startswith(f"{other}.") for other in permitted)}
    return wrong | (outside - LIBRARIES.get(package, outside))


def files():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield path, ".".join((PACKAGE, *parts))


def test_packages_import_only_allowed_packages():
    found = {module: forbidden(module, imported(path.read_text("utf-8"), module)) for path, module in files()}
    assert len(found) > 50
    assert {module: wrong for module, wrong in found.items() if wrong} == {}


def test_experiments_import_no_training_library():
    for path, module in files():
        if module.startswith(f"{PACKAGE}.experiments"):
            names = imported(path.read_text("utf-8"), module, outside_functions=True)
            assert not {name.partition(".")[0] for name in names} & {"torch", "lightning", "torchmetrics"}, module


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("modules.gan", "from ganmc_lightning.data.seeds import derive_seed", {"data.seeds"}),
        ("data.gan", "def f():\n    import ganmc_lightning.modules.base", {"modules.base"}),
        ("data.datasets.gan", "from ...modules import base", {"modules.base"}),
        ("data.datasets.gan", "from ..augment import Augment\nfrom .base import DatasetSource", set()),
        ("metrics.gan", "from ganmc_lightning import Synthesizer, Generator", {"synthesizers"}),
        ("runs.gan", "from ganmc_lightning.networks.checkpoints import read_checkpoint", set()),
        ("runs.gan", "from ganmc_lightning.networks import Frozen", {"networks"}),
        (
            "runs.gan",
            "from ganmc_lightning.networks.checkpoint_of_another import a",
            {"networks.checkpoint_of_another"},
        ),
        ("networks.gan", "import torch.nn\nimport torchvision.models, math", {"torchvision"}),
        ("experiments.gan", "from ganmc_lightning.cli import main, training", {"cli", "cli.training"}),
        ("cli.gan", "from ganmc_lightning.modules import base\nimport lightning", set()),
    ],
)
def test_forbidden_imports_are_found(module, source, wrong):
    module = f"{PACKAGE}.{module}"
    assert forbidden(module, imported(source, module)) == wrong


@pytest.mark.parametrize(
    ("statements", "unwanted"),
    [
        ("import ganmc_lightning; dir(ganmc_lightning)", "torch sklearn torchvision lightning numpy"),
        ("import ganmc_lightning.cli", "torch sklearn torchvision lightning numpy"),
        ("import ganmc_lightning.experiments.reproduce", "torch lightning torchmetrics sklearn"),
        (
            "from ganmc_lightning import cli\nwith cli._imports():\n    import ganmc_lightning.cli.training\n"
            "    import ganmc_lightning.modules",
            "sklearn scipy.signal scipy.stats wandb timm onnx datasets skops ray",
        ),
    ],
)
def test_lazy_imports(statements, unwanted):
    """In a new interpreter, including indirect imports."""
    code = f"import sys\n{statements}\nprint(*(set({unwanted!r}.split()) & set(sys.modules)), 'end')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["end"]


def test_contributing_shows_the_table():
    text = (ROOT.parent / "CONTRIBUTING.md").read_text("utf-8")
    for package, allowed in ALLOWED.items():
        names = "all packages" if allowed is ANY else ", ".join(f"`{name}`" for name in sorted(allowed)) or "none"
        assert package.startswith("__") or f"| `{package}` | {names} |" in text
