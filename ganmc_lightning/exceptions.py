"""The exceptions that the command line reports in one line."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """Something the user gave cannot be used: a key, a value, a file or a folder.

    The message is one line that names the key or the file and says what would serve instead. The command
    line prints it without a traceback and exits with status 2.
    """


class DivergenceError(RuntimeError):
    """Training diverged: losses, weights or samples are NaN or infinite.

    The message is one line that names the step and the module and says which checkpoint is left. The command line
    prints it without a traceback and exits with status 1.
    """
