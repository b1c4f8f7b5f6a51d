"""The generator of a module, which a callback names."""

from __future__ import annotations

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Generator


def find_generator(module: nn.Module, submodule: str, callback: str) -> Generator:
    """Return a submodule that is a generator.

    Args:
        module: module with the submodule.
        submodule: name of the submodule.
        callback: name of the callback, for the error message.

    Raises:
        ConfigurationError: there is no such submodule, or it is not a generator.

    Example:
        >>> find_generator(nn.ModuleDict({"critic": nn.Linear(1, 1)}), "critic", "SampleGrid")
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: SampleGrid.submodule: 'critic' is not a generator
    """
    found = dict(module.named_modules()).get(submodule)
    if not isinstance(found, Generator):
        raise ConfigurationError(f"{callback}.submodule: '{submodule}' is not a generator")
    return found
