"""Noticing that a discriminator has won."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor


class DiscriminatorSaturationWarning:
    """Warns, once, when a discriminator has been right about nearly everything for many steps.

    The count stays on the device and is looked at now and then, so that no step waits for it.

    Args:
        accuracy: above which a step counts.
        steps: that many in a row make a victory.
    """

    def __init__(self, accuracy: float = 0.99, steps: int = 200) -> None:
        self.accuracy = accuracy
        self.steps = steps
        self._streak = torch.zeros((), dtype=torch.long)
        self._seen = 0
        self._warned = False

    def see(self, accuracy: Tensor) -> None:
        """Count a step's accuracy, a scalar in [0, 1]."""
        if self._warned:
            return
        streak = self._streak.to(accuracy.device) + 1
        self._streak = torch.where(accuracy > self.accuracy, streak, torch.zeros_like(streak))
        self._seen += 1
        if self._seen % self.steps == 0 and int(self._streak) >= self.steps:
            self._warned = True
            rank_zero_warn(
                f"the discriminator has told teacher and student apart with an accuracy above {self.accuracy} for "
                f"{self.steps} steps: it has won, and the student learns little from it any more. Regularise it "
                "(model.regularizer: InvertedLabelRegularizer), make it smaller, or lower its learning rate",
                category=UserWarning,
            )
