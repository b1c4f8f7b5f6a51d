"""Finding experiment files: the user's own, this folder's, or those that come with the package."""

from __future__ import annotations

from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import load_yaml_mapping, suggestion

_SUFFIX = ".experiment.yaml"


def config_roots() -> list[Path]:
    """Folders that may hold ``<data>/<name>.experiment.yaml``, the first to be asked first.

    ``./configs``, then the folder inside the installed package, then the one beside it in a checkout.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [Path("configs"), package / "configs", package.parent / "configs"]
    return [folder for folder in candidates if folder.is_dir()]


def find_experiment(name: str) -> Path:
    """Find an experiment by file, by name (``digits``) or by data set and name (``cifar10/table1``).

    Raises:
        ConfigurationError: there is none of that name, or there are two.
    """
    if name.endswith((".yaml", ".yml")):
        file = Path(name)
        if not file.is_file():
            raise ConfigurationError(f"{file}: no such experiment file")
        return file
    files = experiment_files()
    found = [file for file in files if name in (_short_name(file), _short_name(file, with_data=True))]
    if not found:
        raise ConfigurationError(f"there is no experiment '{name}'; {suggestion(name, map(_short_name, files))}")
    if len(found) > 1:
        choices = ", ".join(_short_name(file, with_data=True) for file in found)
        raise ConfigurationError(f"there is more than one experiment '{name}'; say which: {choices}")
    return found[0]


def experiment_files() -> list[Path]:
    """List all experiment files by data set and name; a file in an earlier root hides its namesake."""
    found: dict[str, Path] = {}
    for root in config_roots():
        for file in sorted(root.glob(f"*/*{_SUFFIX}")):
            found.setdefault(_short_name(file, with_data=True), file)
    return [found[key] for key in sorted(found)]


def list_experiments() -> list[tuple[str, str]]:
    """List name and title of all experiments, to be printed.

    Raises:
        ConfigurationError: one of the files is no YAML mapping.
    """
    titles = ((file, load_yaml_mapping(file).get("title", "")) for file in experiment_files())
    return [(_short_name(file), str(title)) for file, title in titles]


def _short_name(file: Path, with_data: bool = False) -> str:
    name = file.name.removesuffix(_SUFFIX)
    return f"{file.parent.name}/{name}" if with_data else name
