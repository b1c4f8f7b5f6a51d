"""``PATH:NAME``: a checkpoint and the name of one of its submodules or layers in command-line arguments."""

from __future__ import annotations

from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError


def split_checkpoint_path(text: str) -> tuple[str, str | None]:
    """Split ``PATH:NAME`` into a checkpoint path and the name of a submodule or layer.

    The text is split at its last colon if the whole text is not a file but the part before the colon is. Colons in
    paths (times, Windows drives) are therefore not separators.

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


def check_checkpoint_exists(text: str) -> None:
    """Validate that the checkpoint of ``PATH`` or ``PATH:NAME`` is a file.

    Raises:
        ConfigurationError: the file does not exist.
    """
    path, _ = split_checkpoint_path(text)
    if not Path(path).is_file():
        raise ConfigurationError(f"{path}: checkpoint not found")
