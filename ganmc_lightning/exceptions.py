"""Exceptions, exit codes and one-line error messages of the command line."""

from __future__ import annotations

import errno
import re

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT."""
TERMINATED = 143
"""Exit code after SIGTERM: 128 + SIGTERM."""

_OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory", re.IGNORECASE)
_DEVICE_FAILURE = re.compile("CUDA error|CUDA driver|cuDNN error|CUBLAS_STATUS_|CUFFT_|NCCL error|HIP error")
_DISK_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_PATH_FAILURES = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)

MAX_MESSAGE = 600
"""Maximum length of a message; jsonargparse lists every subclass that it could not instantiate."""


class ConfigurationError(ValueError):
    """Invalid user input: a configuration key, a value, a file or a folder.

    The message is one line: key or path, actual value, expected value. The command line prints it without a
    traceback and exits with code 2.
    """


class DivergenceError(RuntimeError):
    """Training diverged: losses, weights or samples are NaN or infinite.

    The message is one line: step, module and the last usable checkpoint. The command line prints it without a
    traceback and exits with code 1.
    """


class ExportError(RuntimeError):
    """The outputs of an exported file differ from the network's by more than the tolerance.

    The message is one line: file, difference and tolerance. The command line prints it without a traceback and exits
    with code 1.
    """


class ResourceError(RuntimeError):
    """Memory, disk or device failed during a run that is valid.

    The message is one line: what failed, and the last checkpoint if there is one. The command line prints it without a
    traceback and exits with code 1.
    """


class Terminated(SystemExit):
    """SIGTERM raised as an exception in the main thread."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


def user_message(error: BaseException) -> str | None:
    """Return the root cause of an invalid configuration in one line, or None for any other exception.

    jsonargparse wraps exceptions raised in constructors; a :class:`ConfigurationError` in the chain comes first.
    """
    # Imported here, because the parser and Lightning take seconds to import.
    from jsonargparse import ArgumentError
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ConfigurationError):
            return str(link)
        link = link.__cause__ or link.__context__
    return one_line(error) if isinstance(error, ArgumentError | MisconfigurationException) else None


def resource_message(error: BaseException) -> str | None:
    """Describe a failure of memory, disk or device in one line; return None for any other exception.

    PyTorch raises ``RuntimeError`` for most of them, so that only the text tells. The first failure in the chain
    counts, because cleanup fails as well after a device is lost.

    Example:
        >>> resource_message(RuntimeError("CUDA error: unspecified launch failure"))
        'the device failed (CUDA error: unspecified launch failure); run the same command again'
    """
    found: str | None = None
    link: BaseException | None = error
    while link is not None:
        found = _resource_failure(link) or found
        link = link.__cause__ or link.__context__
    return found


def _resource_failure(error: BaseException) -> str | None:
    text = str(error).partition("\n")[0][:MAX_MESSAGE]
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(text)):
        reason = f" ({text})" if text else ""
        return f"out of memory{reason}; use smaller batches, fewer parallel processes, or more memory"
    if isinstance(error, RuntimeError) and _DEVICE_FAILURE.search(text):
        return f"the device failed ({text}); run the same command again"
    if isinstance(error, OSError) and error.errno in _DISK_FAILURES:
        return f"{error.filename or 'output'}: {error.strerror}; free space or choose another folder"
    return None


def path_message(error: BaseException) -> str | None:
    """Describe a path without permission, or with a name that is too long, in one line; return None for other errors.

    Errors without a path, such as those of sockets and semaphores, are other errors. Before Python 3.14, also
    ``Path.exists`` and ``Path.is_file`` raise these errors.

    Example:
        >>> path_message(PermissionError(errno.EACCES, "Permission denied", "/root/gan.ckpt"))
        '/root/gan.ckpt: cannot be accessed (Permission denied)'
    """
    if not isinstance(error, OSError) or error.errno not in _PATH_FAILURES or error.filename is None:
        return None
    return f"{error.filename}: cannot be accessed ({error.strerror})"


def root_cause(error: BaseException) -> BaseException:
    """Return the exception at the start of a ``raise ... from`` chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def printable(text: str) -> str:
    r"""Return a text as one line without control characters, which names and contents of files may contain.

    Example:
        >>> print(printable("a\nb\x1b[31m"))
        a\nb\x1b[31m
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def one_line(error: BaseException) -> str:
    """Return the message of an exception in one line."""
    text = getattr(error, "message", None) or str(error)
    return " ".join(line.strip(" -") for line in str(text).splitlines() if line.strip())[:MAX_MESSAGE]
