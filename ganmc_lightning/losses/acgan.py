"""AC-GAN loss: a GAN loss of the source logits plus a cross-entropy of the class logits."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.losses.gan import GANLoss, NonSaturatingGANLoss
from ganmc_lightning.losses.gradient_penalty import check_supports_gradient_penalty, r1_penalty


class ACGANParts(NamedTuple):
    """Return value of :class:`ACGANLoss`.

    Attributes:
        total: weighted sum of the parts.
        source: GAN loss of the source logits.
        classification: cross-entropy of the class logits.
    """

    total: Tensor
    source: Tensor
    classification: Tensor


class ACGANLoss(nn.Module):
    """Losses of an AC-GAN's discriminator and generator (Odena et al. 2017; GAN-MC, section 2.3).

    ``L_source`` and ``L_class`` are the log-likelihoods of the correct source and class. The discriminator maximizes
    ``L_class + L_source``, the generator ``L_class - L_source``. The GAN loss defines the form of ``L_source``.

    Args:
        adversarial: GAN loss of the source logits (default: :class:`~ganmc_lightning.losses.NonSaturatingGANLoss`).
            GAN-MC's equations are :class:`~ganmc_lightning.losses.MinimaxGANLoss`.
        class_weight: factor >= 0 of the class part in both losses (default: 1).
        source_weight: factor >= 0 of the source part in both losses (default: 1). GAN-MC's *inferior* GAN uses 0
            (section 5.1).
        classify_generated: whether the discriminator is also trained on the classes of generated samples, as in
            ``L_class`` (default: True). ``False`` is better on small data sets, where both networks otherwise agree on
            class features that no other classifier recognizes.
        r1_weight: factor >= 0 of :func:`~ganmc_lightning.losses.r1_penalty` of the source logits, which reduces
            overfitting of the discriminator on small data sets (default: 0).
        r1_interval: number of iterations per computation of the R1 penalty, which is multiplied by this number
            (default: 8; Karras et al. 2020, section 3.1).

    Raises:
        ConfigurationError: a weight is negative, or ``r1_interval`` is less than 1.

    Example:
        >>> import torch
        >>> from ganmc_lightning.losses import HingeGANLoss
        >>> loss = ACGANLoss(HingeGANLoss(), class_weight=0.5)
        >>> source_and_class_logits = (torch.zeros(2), torch.zeros(2, 4))
        >>> parts = loss.generator_loss(source_and_class_logits, torch.tensor([0, 3]))
        >>> round(parts.total.item(), 3), round(parts.classification.item(), 3)  # log(4) = 1.386
        (0.693, 1.386)
    """

    def __init__(
        self,
        adversarial: GANLoss | None = None,
        class_weight: float = 1.0,
        source_weight: float = 1.0,
        classify_generated: bool = True,
        r1_weight: float = 0.0,
        r1_interval: int = 8,
    ) -> None:
        super().__init__()
        for name, weight in (
            ("class_weight", class_weight),
            ("source_weight", source_weight),
            ("r1_weight", r1_weight),
        ):
            if weight < 0:
                raise ConfigurationError(f"{name}: got {weight}, expected a value >= 0")
        if r1_interval < 1:
            raise ConfigurationError(f"r1_interval: got {r1_interval}, expected 1 or more")
        self.adversarial = NonSaturatingGANLoss() if adversarial is None else adversarial
        self.class_weight = class_weight
        self.source_weight = source_weight
        self.classify_generated = classify_generated
        self.r1_weight = r1_weight
        self.r1_interval = r1_interval

    def discriminator_loss(
        self, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], real_labels: Tensor, fake_labels: Tensor
    ) -> ACGANParts:
        """Return the discriminator's loss, ``-(L_class + L_source)``.

        Args:
            real: source logits (N,) and class logits (N, K) of real samples.
            fake: source logits and class logits of detached generated samples.
            real_labels: classes of the real samples, int64 (N,).
            fake_labels: classes that the samples were generated for, int64 (N,).
        """
        classification = hard_cross_entropy(real[1], real_labels)
        if self.classify_generated:
            classification = classification + hard_cross_entropy(fake[1], fake_labels)
        return self._weighted(self.adversarial.discriminator_loss(real[0], fake[0]), classification)

    def generator_loss(self, fake: tuple[Tensor, Tensor], fake_labels: Tensor) -> ACGANParts:
        """Return the generator's loss, ``-(L_class - L_source)`` in the minimax form.

        Args:
            fake: source logits (N,) and class logits (N, K) of generated samples.
            fake_labels: classes that the samples were generated for, int64 (N,).
        """
        return self._weighted(self.adversarial.generator_loss(fake[0]), hard_cross_entropy(fake[1], fake_labels))

    def _weighted(self, source: Tensor, classification: Tensor) -> ACGANParts:
        total = self.class_weight * classification + self.source_weight * source
        return ACGANParts(total, source, classification)

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, iteration: int) -> Tensor | None:
        """Return the penalty that is added to the discriminator's loss in this iteration, or None.

        Args:
            discriminator: network from samples to source logits (N,) and class logits.
            real: real samples (N, ...).
            fake: generated samples (N, ...), detached.
            iteration: number of the training batch, from 1.
        """

        def source_logits(samples: Tensor) -> Tensor:
            logits: Tensor = discriminator(samples)[0]
            return logits

        penalty = self.adversarial.penalty(source_logits, real, fake)
        penalty = None if penalty is None else self.source_weight * penalty
        if self.r1_weight == 0 or iteration % self.r1_interval > 0:
            return penalty
        r1 = self.r1_interval * self.r1_weight * r1_penalty(source_logits, real)
        return r1 if penalty is None else penalty + r1

    def after_discriminator_step(self, discriminator: nn.Module) -> None:
        """Call the hook of the GAN loss, e.g. weight clipping."""
        self.adversarial.after_discriminator_step(discriminator)

    def validate_discriminator(self, discriminator: nn.Module) -> None:
        """Raise :class:`~ganmc_lightning.exceptions.ConfigurationError` if this loss does not support the network."""
        self.adversarial.validate_discriminator(discriminator)
        if self.r1_weight > 0:
            check_supports_gradient_penalty(discriminator)
