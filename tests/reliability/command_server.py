"""Process that imports the package once and forks for each command, as a script.

It writes the line "ready" when everything is imported. It reads lines of JSON, ``{"arguments": [...], "folder": ...,
"log": ...}``, and writes the number of the forked process and then its exit code, each in a line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from importlib import import_module

MODULES = ("training", "forest", "compress_images", "compress_table", "evaluate", "export", "reproduce")


def run(arguments: list[str], folder: str, log: str) -> int:
    """Run a command in this process, in its own session."""
    os.setsid()
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ["ganmc", *arguments]
    return import_module("ganmc_lightning.cli").main(arguments)


def serve() -> None:
    """Fork for each line, until standard input ends."""
    for module in MODULES:
        import_module(f"ganmc_lightning.cli.{module}")
    import_module("ganmc_lightning.experiments.reproduce")
    # The faster precision is measured, and can be another one in the next run.
    import_module("ganmc_lightning.compression.compress").candidate_precisions = lambda: ("32-true",)
    print("ready", flush=True)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            status = 1
            try:
                status = run(**json.loads(line))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
