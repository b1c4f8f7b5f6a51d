"""Discovery of the user's and the package's experiment files."""

from __future__ import annotations

from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import suggestion

_SUFFIX = ".experiment.yaml"


def config_roots() -> list[Path]:
    """Return the folders that may contain ``<data>/<name>.experiment.yaml``, in order of precedence.

    These are ``./configs``, the folder inside the installed package, and the folder next to it in a checkout.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [Path("configs"), package / "configs", package.parent / "configs"]
    return [folder for folder in candidates if folder.is_dir()]


def find_experiment(name: str) -> Path:
    """Find an experiment by file, by name (``digits``) or by data set and name (``cifar10/cifar10_paper``).

    Raises:
        ConfigurationError: the name is unknown or ambiguous.
    """
    if name.endswith((".yaml", ".yml")):
        file = Path(name)
        if not file.is_file():
            raise ConfigurationError(f"{file}: file not found")
        return file
    files = experiment_files()
    found = [file for file in files if name in (short_name(file), short_name(file, with_data=True))]
    if not found:
        raise ConfigurationError(f"unknown experiment '{name}', {suggestion(name, map(short_name, files))}")
    if len(found) > 1:
        choices = ", ".join(short_name(file, with_data=True) for file in found)
        raise ConfigurationError(f"ambiguous experiment '{name}', expected one of: {choices}")
    return found[0]


def experiment_files() -> list[Path]:
    """List all experiment files, sorted by data set and name; earlier roots take precedence."""
    found: dict[str, Path] = {}
    for root in config_roots():
        for file in sorted(root.glob(f"*/*{_SUFFIX}")):
            found.setdefault(short_name(file, with_data=True), file)
    return [found[key] for key in sorted(found)]


def short_name(file: Path, with_data: bool = False) -> str:
    """Return the name of an experiment file, such as ``digits``, or ``digits/digits`` with its data set."""
    name = file.name.removesuffix(_SUFFIX)
    return f"{file.parent.name}/{name}" if with_data else name
