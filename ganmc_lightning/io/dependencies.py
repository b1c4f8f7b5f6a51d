"""Check optional packages before a long computation."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from ganmc_lightning.exceptions import ConfigurationError


def check_packages(packages: Iterable[str], extra: str = "export", purpose: str = "exports") -> None:
    """Validate that packages are installed, without importing them.

    Args:
        packages: names of top-level packages.
        extra: extra of this package that installs them (default: ``"export"``).
        purpose: plural noun for the message: what requires the packages (default: ``"exports"``).

    Raises:
        ConfigurationError: naming the first missing package.

    Example:
        >>> check_packages(["numpy"])
    """
    for package in packages:
        if find_spec(package) is None:
            raise ConfigurationError(f'{purpose} require {package}: pip install "ganmc-lightning[{extra}]"')
