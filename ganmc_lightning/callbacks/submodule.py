"""Checks of callbacks that evaluate a generator: the submodule that they name, and that there is only one of them."""

from __future__ import annotations

from lightning.pytorch import Callback, Trainer
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.wrappers import unwrap


def find_generator(module: nn.Module, submodule: str, callback: str) -> Generator:
    """Return a submodule that is a generator, without wrappers such as that of ``torch.compile``.

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
    found = None if found is None else unwrap(found)
    if not isinstance(found, Generator):
        raise ConfigurationError(f"{callback}.submodule: '{submodule}' is not a generator")
    return found


def check_single(trainer: Trainer, callback: Callback) -> None:
    """Check that a trainer has no other callback of the same class, which would use the same names of values and files.

    Args:
        trainer: trainer of the callback.
        callback: the callback.

    Raises:
        ConfigurationError: there are several callbacks of the class.

    Example:
        >>> check_single(Trainer(logger=False, barebones=True), Callback())
    """
    found = sum(type(other) is type(callback) for other in trainer.callbacks)  # type: ignore[attr-defined]
    if found > 1:
        raise ConfigurationError(
            f"trainer.callbacks: got {found} callbacks {type(callback).__name__}, expected one, because their metrics "
            "and files have equal names"
        )
