"""The one exception for what a user can mend."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used: a key, a value, a file or a folder.

    The message is one line that names the key or the file and says what would serve instead. The command
    line prints it without a traceback and exits with status 2.
    """
