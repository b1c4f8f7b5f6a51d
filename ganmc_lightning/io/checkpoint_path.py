"""``PATH:NAME``: a checkpoint and a name inside it, as command-line arguments write it."""

from __future__ import annotations

from pathlib import Path


def split_checkpoint_path(text: str) -> tuple[str, str | None]:
    """Split ``PATH:NAME`` into a checkpoint path and the name of a submodule or layer.

    The text is split at its last colon only if the whole text is not a file and the part before the colon is one, so
    that colons in paths (times, Windows drives) are never mistaken for the separator.

    Args:
        text: ``PATH`` or ``PATH:NAME``.

    Returns:
        The path, and the name or None.

    Example:
        >>> split_checkpoint_path("runs/12:30/best.ckpt")
        ('runs/12:30/best.ckpt', None)
    """
    path, colon, name = text.rpartition(":")
    if colon and name and not Path(text).is_file() and Path(path).is_file():
        return path, name
    return text, None
