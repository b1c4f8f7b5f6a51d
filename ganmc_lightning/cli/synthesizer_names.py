"""Names of the synthesizers of ``ganmc forest`` and ``ganmc tabular-study``."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ganmc_lightning.exceptions import ConfigurationError

_NAME = re.compile(r"\w[\w.-]*")


def check_synthesizer_names(names: Sequence[str], reserved: Collection[str]) -> None:
    """Validate the names of checkpoints and synthesizers, which are part of the keys of a result and of names of files.

    Args:
        names: all names.
        reserved: names of other training sets and models.

    Raises:
        ConfigurationError: a name has other characters than letters, digits, ``_``, ``-`` and ``.``, starts with ``-``
            or ``.``, occurs twice or is reserved.

    Example:
        >>> check_synthesizer_names(["gan", "jitter-0.1"], reserved=["labels"])
    """
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1 or name in reserved:
            raise ConfigurationError(
                f"checkpoints, synthesizers: got the name {name!r}, expected distinct names of letters, digits, '_', "
                f"'-' and '.' other than {', '.join(reserved)}"
            )
