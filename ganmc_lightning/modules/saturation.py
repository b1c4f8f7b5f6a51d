"""Warning about the saturated accuracy of a discriminator."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor


class DiscriminatorSaturationWarning:
    """Warn once when the discriminator's accuracy has exceeded a threshold for many consecutive steps.

    Counts stay on the device and are read once every ``steps`` updates, so that steps do not wait for the device.

    Args:
        accuracy: threshold in [0, 1].
        steps: number of consecutive steps above the threshold.

    Example:
        >>> import warnings
        >>> saturation = DiscriminatorSaturationWarning(accuracy=0.99, steps=2)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     for accuracy in (1.0, 1.0, 1.0):
        ...         saturation.update(torch.tensor(accuracy))
        >>> len(caught)
        1
    """

    def __init__(self, accuracy: float = 0.99, steps: int = 200) -> None:
        self.accuracy = accuracy
        self.steps = steps
        self._streak: Tensor | None = None
        self._longest: Tensor | None = None
        self._updates = 0
        self._warned = False

    def update(self, accuracy: Tensor) -> None:
        """Count a step if its accuracy exceeds the threshold.

        Args:
            accuracy: accuracy of the discriminator in this step, scalar in [0, 1].
        """
        if self._warned:
            return
        if self._streak is None or self._longest is None:
            self._streak = self._longest = torch.zeros_like(accuracy, dtype=torch.long)
        self._streak = torch.where(accuracy > self.accuracy, self._streak + 1, 0)
        self._longest = torch.maximum(self._longest, self._streak)
        self._updates += 1
        if self._updates % self.steps == 0 and int(self._longest) >= self.steps:
            self._warned = True
            rank_zero_warn(
                f"discriminator accuracy > {self.accuracy} for {self.steps} steps: the student's adversarial "
                "gradient vanishes. Try model.regularizer: InvertedLabelRegularizer, a smaller discriminator or a "
                "lower learning rate for it",
                category=UserWarning,
            )
