"""AC-GAN networks for rows (GAN-MC, section 4)."""

from __future__ import annotations

from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Generator, check_normalization
from ganmc_lightning.networks.mlp import hidden_layers


class TabularGenerator(Generator):
    """Generator of rows: linear layers with ReLU from class and latents.

    The latents are multiplied by an embedding of the class, as in
    :class:`~ganmc_lightning.networks.acgan.ACGANGenerator`. The output layer is linear, because z-scored rows are
    unbounded.

    Args:
        num_features: D, number of columns.
        num_classes: number of classes.
        latent_dim: dimension of the latents (default: 100, as in the paper).
        hidden: units of each hidden layer (default: one of 50, as in the paper).
        latent_std: standard deviation of the latents (default: 1; 0.5 in the authors' released code).
        skip_connections: whether to concatenate the input of each hidden layer to its output, as in CTGAN (Xu et
            al. 2019, section 4.3). The last layer then receives the latents, and the hidden layers model only the
            deviation from a normal distribution.
        output_noise_std: standard deviation of Gaussian noise added to rows in evaluation mode, in z-scores (default:
            0). It smooths the distribution of the rows, which reduces a student's error between them. It is not added
            in training, where the discriminator would detect it. The noise is computed from D additional latents, so
            that equal latents give equal rows.

    Raises:
        ConfigurationError: ``output_noise_std`` is negative.

    Example:
        >>> generator = TabularGenerator(num_features=3, latent_dim=4, hidden=(5,))
        >>> generator(torch.zeros(2, 4), torch.tensor([0, 1])).shape, sum(p.numel() for p in generator.parameters())
        (torch.Size([2, 3]), 51)
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int = 2,
        latent_dim: int = 100,
        hidden: tuple[int, ...] = (50,),
        latent_std: float = 1.0,
        skip_connections: bool = False,
        output_noise_std: float = 0.0,
    ) -> None:
        if output_noise_std < 0:
            raise ConfigurationError(f"output_noise_std: got {output_noise_std}, expected at least 0")
        noise_size = num_features if output_noise_std > 0 else 0
        super().__init__(noise_size + latent_dim, num_classes, (num_features,), latent_std)
        self.output_noise_std = output_noise_std
        self.noise_size = noise_size
        sizes = (latent_dim, *hidden)
        self.embedding = nn.Embedding(num_classes, latent_dim)
        if skip_connections:
            widths = list(accumulate(sizes))
            layers: list[nn.Module] = [_ConcatLinear(*pair) for pair in zip(widths, hidden, strict=False)]
            self.network = nn.Sequential(*layers, nn.Linear(widths[-1], num_features))
        else:
            self.network = nn.Sequential(*hidden_layers(sizes, dropout=0.0), nn.Linear(sizes[-1], num_features))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map ``latents`` (N, latent_dim) and ``labels`` (N,) int64 to rows (N, num_features)."""
        if labels is None:
            raise ValueError("an AC-GAN generator is conditioned on the class: got no labels")
        noise, latents = latents[:, : self.noise_size], latents[:, self.noise_size :]
        rows: Tensor = self.network(latents * self.embedding(labels))
        if self.noise_size > 0 and not self.training:
            rows = rows + self.output_noise_std / self.latent_std * noise
        return rows


class _ConcatLinear(nn.Module):
    """Linear layer with ReLU; its input is concatenated to its output."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size_in, size_out)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, size_out + size_in) of ``inputs`` (N, size_in)."""
        return torch.cat([torch.relu(self.layer(inputs)), inputs], dim=1)


class TabularDiscriminator(ClassConditionalDiscriminator):
    """AC-GAN discriminator of rows: linear layers with ReLU and two heads, source and class.

    Args:
        num_features: D, number of columns.
        num_classes: number of classes.
        hidden: units of each hidden layer (default: one of 50, as in the paper).
        dropout: dropout probability after each hidden layer (default: 0, as in the paper).
        normalization: ``"none"`` (default), or ``"spectral"`` of every layer (Miyato et al. 2018), for the hinge loss.

    Raises:
        ConfigurationError: ``normalization`` has another value.

    Example:
        >>> source_logits, class_logits = TabularDiscriminator(num_features=3)(torch.zeros(4, 3))
        >>> source_logits.shape, class_logits.shape
        (torch.Size([4]), torch.Size([4, 2]))
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int = 2,
        hidden: tuple[int, ...] = (50,),
        dropout: float = 0.0,
        normalization: Literal["none", "spectral"] = "none",
    ) -> None:
        super().__init__()
        check_normalization(normalization, "none", "spectral")
        sizes = (num_features, *hidden)
        self.features = nn.Sequential(*hidden_layers(sizes, dropout))
        self.source = nn.Linear(sizes[-1], 1)
        self.classes = nn.Linear(sizes[-1], num_classes)
        if normalization == "spectral":
            for layer in [module for module in self.modules() if isinstance(module, nn.Linear)]:
                spectral_norm(layer)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return source logits (N,) and class logits (N, num_classes) of rows (N, num_features)."""
        features = self.features(inputs)
        return torch.flatten(self.source(features)), self.classes(features)
