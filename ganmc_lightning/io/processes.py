"""Whether a process of this machine is running."""

from __future__ import annotations

import os


def process_is_running(process: int) -> bool:
    """Return whether a process with a number exists on this machine.

    On Windows, which has no call for it that is free of side effects, the result is True.

    Example:
        >>> process_is_running(os.getpid())
        True
    """
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    return True
