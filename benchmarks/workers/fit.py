"""Worker that runs ``ganmc`` with the arguments of each request: ``python benchmarks/workers/fit.py``."""

from __future__ import annotations

from channel import CHANNEL

from ganmc_lightning.cli import main

if __name__ == "__main__":
    CHANNEL.send(started=True)
    while True:
        arguments = CHANNEL.receive()["arguments"]
        CHANNEL.send(status=main(arguments))
