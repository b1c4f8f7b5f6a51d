"""Callback that times rounds of training steps of ``ganmc fit``; it works with every version of the package."""

from __future__ import annotations

import time
from typing import Any

from channel import CHANNEL, peak_memory, synchronize
from lightning.pytorch import Callback


class RoundTimer(Callback):
    """Time rounds of steps on request, until a request for 0 steps, which ends the training.

    The end of an epoch and the first step of the next one, which may fill a pool, are not timed.
    """

    def __init__(self) -> None:
        self.setup_at = self.started = self.seconds = 0.0
        self.settle = self.left = 0
        self.running = False  # whether the clock is running

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self.setup_at = time.perf_counter()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 0 and batch_idx == 0:  # pool and cached logits are ready
            synchronize()
            CHANNEL.send(precision=str(trainer.precision), preparation=time.perf_counter() - self.setup_at)
            self._next_round(trainer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.running:
            self.left -= 1
            if self.left == 0:
                self._pause()
                CHANNEL.send(seconds=self.seconds)
                self._next_round(trainer)
        elif self.settle > 0:
            self.settle -= 1
        if not self.running and self.settle == 0 and self.left > 0:
            synchronize()
            self.running = True
            self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self.running:
            self._pause()

    def _pause(self) -> None:
        synchronize()
        self.seconds += time.perf_counter() - self.started
        self.running = False

    def _next_round(self, trainer: Any) -> None:
        request = CHANNEL.receive()
        self.seconds, self.settle, self.left = 0.0, request["settle"], request["steps"]
        if self.left == 0:
            CHANNEL.send(memory=peak_memory())
            trainer.should_stop = True
