"""Discovery of the user's and the package's experiment files."""

from __future__ import annotations

from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import load_yaml_mapping, suggestion

_SUFFIX = ".experiment.yaml"


def config_roots() -> list[Path]:
    """Return the folders that may contain ``<data>/<name>.experiment.yaml``, in order of precedence.

    These are ``./configs``, the folder inside the installed package, and the folder next to it in a checkout.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [Path("configs"), package / "configs", package.parent / "configs"]
    return [folder for folder in candidates if folder.is_dir()]


def find_experiment(name: str) -> Path:
    """Find an experiment by file, by name (``digits``) or by data set and name (``cifar10/table1``).

    Raises:
        ConfigurationError: the name is unknown or ambiguous.
    """
    if name.endswith((".yaml", ".yml")):
        file = Path(name)
        if not file.is_file():
            raise ConfigurationError(f"{file}: file not found")
        return file
    files = experiment_files()
    found = [file for file in files if name in (_short_name(file), _short_name(file, with_data=True))]
    if not found:
        raise ConfigurationError(f"unknown experiment '{name}', {suggestion(name, map(_short_name, files))}")
    if len(found) > 1:
        choices = ", ".join(_short_name(file, with_data=True) for file in found)
        raise ConfigurationError(f"ambiguous experiment '{name}', expected one of: {choices}")
    return found[0]


def experiment_files() -> list[Path]:
    """List all experiment files, sorted by data set and name; earlier roots take precedence."""
    found: dict[str, Path] = {}
    for root in config_roots():
        for file in sorted(root.glob(f"*/*{_SUFFIX}")):
            found.setdefault(_short_name(file, with_data=True), file)
    return [found[key] for key in sorted(found)]


def list_experiments() -> list[tuple[str, str]]:
    """List name and title of all experiments.

    Raises:
        ConfigurationError: a file is not a YAML mapping.
    """
    titles = ((file, load_yaml_mapping(file).get("title", "")) for file in experiment_files())
    return [(_short_name(file), str(title)) for file, title in titles]


def _short_name(file: Path, with_data: bool = False) -> str:
    name = file.name.removesuffix(_SUFFIX)
    return f"{file.parent.name}/{name}" if with_data else name
