"""Names of the synthesizers of ``ganmc forest`` and ``ganmc tabular-study``."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ganmc_lightning.exceptions import ConfigurationError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def check_synthesizer_names(names: Sequence[str], reserved: Collection[str]) -> None:
    """Validate the names of checkpoints and synthesizers, which are part of the keys of a result.

    Args:
        names: all names.
        reserved: names of other training sets and models.

    Raises:
        ConfigurationError: a name has other characters than letters, digits and ``_``, occurs twice or is reserved.

    Example:
        >>> check_synthesizer_names(["gan", "jitter"], reserved=["labels"])
    """
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1 or name in reserved:
            raise ConfigurationError(
                f"checkpoints, synthesizers: got the name {name!r}, expected distinct names of letters, digits and '_' "
                f"other than {', '.join(reserved)}"
            )
