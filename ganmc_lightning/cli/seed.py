"""Random seeds on the command line."""

from __future__ import annotations

from ganmc_lightning.exceptions import ConfigurationError


def check_seed(seed: int, key: str = "--seed") -> None:
    """Validate the value of an option or a key.

    Args:
        seed: value.
        key: name of the option or key, for the error.

    Raises:
        ConfigurationError: it is not in the range of NumPy's and PyTorch's seeds, 0 to 2**32 - 1.

    Example:
        >>> check_seed(0)
        >>> check_seed(-1)
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: --seed: got -1, expected 0 to 4294967295
    """
    if not 0 <= seed < 2**32:
        raise ConfigurationError(f"{key}: got {seed}, expected 0 to {2**32 - 1}")
