"""What the parser and Lightning complain of, in one line for the user."""

from __future__ import annotations

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException

from ganmc_lightning.exceptions import ConfigurationError


def user_message(error: BaseException) -> str | None:
    """What the user can fix, in one line; None where the fault is not theirs.

    The parser wraps what a constructor complains of into messages of its own, many lines long: the complaint
    is found at the bottom.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ConfigurationError):
            return str(link)
        link = link.__cause__ or link.__context__
    if isinstance(error, ArgumentError | MisconfigurationException):
        return one_line(error)
    return None


def one_line(error: BaseException) -> str:
    """A message of many lines as one, without the parser's decoration."""
    text = getattr(error, "message", None) or str(error)
    return " ".join(line.strip(" -") for line in str(text).splitlines() if line.strip())[:600]
