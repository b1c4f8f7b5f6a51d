"""Observe one reading: its outcome, memory, files written and code executed."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ganmc_lightning.exceptions import ConfigurationError, DivergenceError, ExportError

SECONDS = 30
"""Time limit of one reading on a busy machine."""
ADDRESS_SPACE = 8 * 2**30
"""Limit of the address space in addition to that of the imported libraries."""
FIXED, FACTOR = 2**30, 400
"""Stated bound of the memory of one reading: 1 GiB + 400 times the size of the file."""
_CODE = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "shutil.rmtree")
_WRITES = {
    **dict.fromkeys(("os.mkdir", "os.remove", "os.rmdir", "os.truncate"), (0,)),
    **dict.fromkeys(("os.link", "os.symlink"), (1,)),
    **dict.fromkeys(("os.rename", "shutil.move"), (0, 1)),
}
"""Audit event -> positions of the paths that are written."""


class TimeLimitError(BaseException):
    """A reading took longer than :data:`SECONDS`."""


class Observation(NamedTuple):
    """Outcome of one reading: ``accepted``, ``refused``, or a failure; and its peak memory."""

    outcome: str
    detail: str = ""
    memory: int = 0


class Observer:
    """Watch writes and code by an audit hook, which cannot be removed, so one process has one observer.

    Args:
        work: folder of the campaign. Readers may write to its folders ``case`` and ``tmp`` (temporary files), and to
            caches of libraries.
    """

    def __init__(self, work: Path) -> None:
        temporary = work / "tmp"
        temporary.mkdir(exist_ok=True)
        tempfile.tempdir = str(temporary)
        folders = (work / "case", temporary, Path("/dev"), Path("/proc/self"), Path.home() / ".cache")
        self.allowed = tuple(f"{folder}/" for folder in folders)
        self.events: list[str] | None = None
        soft = int(_status("VmSize")) + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (soft, resource.getrlimit(resource.RLIMIT_AS)[1]))
        signal.signal(signal.SIGALRM, _stop)
        sys.addaudithook(self._audit)

    def observe(self, read: Callable[[], Any], size: int) -> Observation:
        """Run a reader; the size of the file bounds its memory."""
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak of the resident memory
        before, self.events = _status("VmRSS"), []
        signal.alarm(SECONDS)
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                status = read()
            outcome = _outcome_of_command(status, output.getvalue())
        except (ConfigurationError, DivergenceError, ExportError) as error:
            outcome = Observation("refused" if "\n" not in str(error) else "several lines", repr(str(error))[:300])
        except TimeLimitError:
            outcome = Observation("time limit", "".join(traceback.format_exc().splitlines()[-12:])[:600])
        except BaseException as error:
            outcome = Observation("traceback", _location(error))
        finally:
            signal.alarm(0)
            events, self.events = self.events or [], None
        memory = max(0, _status("VmHWM") - before)
        if events:
            return Observation("escaped", "; ".join(events[:3]), memory)
        if memory > FIXED + FACTOR * size:
            return Observation("memory", f"{memory >> 20} MiB for {size} bytes", memory)
        return outcome._replace(memory=memory)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.events is None:
            return
        if event == "open":
            path, mode, flags = arguments
            written = (isinstance(mode, str) and set(mode) & set("wax+")) or (mode is None and flags & 3)
            if written and isinstance(path, str | bytes):
                self._check(event, path)
        elif event in _WRITES:
            if event == "os.truncate" or event.startswith("shutil") or arguments[-1] == -1:  # else relative to a folder
                for position in _WRITES[event]:
                    self._check(event, arguments[position])
        elif event.startswith(_CODE) and event != "shutil.rmtree":
            self.events.append(f"{event} {str(arguments)[:200]}")

    def _check(self, event: str, path: Any) -> None:
        assert self.events is not None
        name = path.decode(errors="replace") if isinstance(path, bytes) else str(path)
        text = os.path.normpath(Path.cwd() / name)
        if "__pycache__" not in text and not f"{text}/".startswith(self.allowed):
            self.events.append(f"{event} {text}")


def _outcome_of_command(status: Any, output: str) -> Observation:
    if status in (None, 0):
        return Observation("accepted")
    errors = [line for line in output.splitlines() if line.startswith("ganmc")]
    if status not in (1, 2) or "Traceback" in output or len(errors) != 1:
        return Observation("several lines", f"exit code {status}: {output[-300:]}")
    return Observation("refused", errors[0][:300])


def _location(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ganmc_lightning" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {place}: {str(error)[:200]}"


def _status(key: str) -> int:
    """Return a value of /proc/self/status in bytes."""
    for line in _lines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(key)


def _lines() -> Iterator[str]:
    yield from Path("/proc/self/status").read_text().splitlines()


def _stop(*_: Any) -> None:
    raise TimeLimitError
