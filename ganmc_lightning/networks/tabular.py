"""AC-GAN networks for rows (GAN-MC section 4)."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Generator
from ganmc_lightning.networks.mlp import hidden_layers


class TabularGenerator(Generator):
    """Dense layers with ReLU from class and noise to a row.

    The class enters as an embedding that multiplies the noise, as in
    :class:`~ganmc_lightning.networks.acgan.ACGANGenerator`. The output is linear: rows are z-scored and
    have no bound.

    Args:
        num_features: columns of a row.
        num_classes: classes it is conditioned on.
        latent_size: length of the noise vector; 100 in the paper.
        hidden: units of each hidden layer; one layer of 50 in the paper.
        latent_std: standard deviation of the noise; the authors' released code draws with 0.5.
        concatenate: hand the input of each hidden layer on beside its output, as CTGAN does (Xu et al. 2019,
            section 4.3). The last layer then sees the noise itself: a normal distribution costs the
            hidden layers nothing, and they learn what is left.
        output_noise_std: standard deviation of noise on the rows made in evaluation mode, in z-scores: it smooths
            them, as jitter does real rows, and a student of smoothed rows errs less between them. Training goes
            without it, for the discriminator would see it. The noise is the first ``num_features`` of a latent
            vector, which is so many longer: the same latents still make the same rows.

    Raises:
        ConfigurationError: ``output_noise_std`` is negative.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int = 2,
        latent_size: int = 100,
        hidden: tuple[int, ...] = (50,),
        latent_std: float = 1.0,
        concatenate: bool = False,
        output_noise_std: float = 0.0,
    ) -> None:
        if output_noise_std < 0:
            raise ConfigurationError(f"output_noise_std must not be negative, got {output_noise_std}")
        noise_size = num_features if output_noise_std > 0 else 0
        super().__init__(noise_size + latent_size, num_classes, (num_features,), latent_std)
        self.output_noise_std = output_noise_std
        self.noise_size = noise_size
        sizes = (latent_size, *hidden)
        self.embedding = nn.Embedding(num_classes, latent_size)
        if concatenate:
            widths = list(accumulate(sizes))
            layers: list[nn.Module] = [_ConcatLinear(*pair) for pair in zip(widths, hidden, strict=False)]
            self.network = nn.Sequential(*layers, nn.Linear(widths[-1], num_features))
        else:
            self.network = nn.Sequential(*hidden_layers(sizes, dropout=0.0), nn.Linear(sizes[-1], num_features))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Turn ``latents`` (N, latent_size) and ``labels`` (N,) int64 into rows (N, num_features)."""
        if labels is None:
            raise ValueError("an AC-GAN generator needs labels: it is conditioned on the class")
        noise, latents = latents[:, : self.noise_size], latents[:, self.noise_size :]
        rows: Tensor = self.network(latents * self.embedding(labels))
        if self.noise_size > 0 and not self.training:
            rows = rows + self.output_noise_std / self.latent_std * noise
        return rows


class _ConcatLinear(nn.Module):
    """A dense layer with ReLU whose output is appended to its input."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size_in, size_out)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, size_out + size_in) of ``inputs`` (N, size_in)."""
        return torch.cat([torch.relu(self.layer(inputs)), inputs], dim=1)


class TabularDiscriminator(ClassConditionalDiscriminator):
    """Dense layers with ReLU and two heads, source and class.

    Args:
        num_features: columns of a row.
        num_classes: classes it tells apart.
        hidden: units of each hidden layer; one layer of 50 in the paper.
        dropout: drop-out probability after each hidden layer; none in the paper.
        spectral: normalize every layer spectrally (Miyato et al. 2018): the form to use with the hinge loss.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int = 2,
        hidden: tuple[int, ...] = (50,),
        dropout: float = 0.0,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        sizes = (num_features, *hidden)
        self.features = nn.Sequential(*hidden_layers(sizes, dropout))
        self.source = nn.Linear(sizes[-1], 1)
        self.classes = nn.Linear(sizes[-1], num_classes)
        if spectral:
            for layer in [module for module in self.modules() if isinstance(module, nn.Linear)]:
                spectral_norm(layer)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return source logits (N,) and class logits (N, num_classes) of rows (N, num_features)."""
        features = self.features(inputs)
        return torch.flatten(self.source(features)), self.classes(features)
