"""Gradient penalties of discriminators."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.precision import at_least_float32


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """``E (||grad f(x)|| - 1)^2`` between real and generated samples (Gulrajani et al. 2017, equation 3).

    Each x is a random interpolation between one real and one generated sample. The critic runs in the precision of
    ``real``, without autocast; the norms are computed in float32 or wider.

    Args:
        critic: function from samples to scores (N,), not compiled: ``torch.compile`` does not support second
            derivatives.
        real: real samples (N, ...).
        fake: generated samples (N, ...), without gradients.

    Returns:
        Scalar, differentiable with respect to the critic's parameters.

    Example:
        >>> slope = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> gradient_penalty(lambda x: x @ slope, torch.ones(5, 2), torch.zeros(5, 2)).item()  # (5 - 1)^2
        16.0
    """
    with torch.autocast(real.device.type, enabled=False):
        shape = (len(real), *(1,) * (real.dim() - 1))
        fraction = torch.rand(shape, device=real.device, dtype=torch.float32).to(real.dtype)
        interpolated = torch.lerp(real, fake.to(real.dtype), fraction).requires_grad_()
        gradient = _differentiable_gradient(critic, interpolated)
        penalty: Tensor = (gradient.norm(dim=1) - 1).square().mean()
    return penalty


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """``E ||grad D(x)||^2 / 2`` at real samples (Mescheder et al. 2018, equation 9).

    The discriminator runs in the precision of ``real``, without autocast; the squares are summed in float32 or wider.

    Args:
        discriminator: function from samples to logits (N,), not compiled.
        real: real samples (N, ...).

    Returns:
        Scalar, differentiable with respect to the discriminator's parameters.

    Example:
        >>> slope = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> r1_penalty(lambda x: x @ slope, torch.zeros(5, 2)).item()
        12.5
    """
    with torch.autocast(real.device.type, enabled=False):
        gradient = _differentiable_gradient(discriminator, real.detach().requires_grad_())
        return gradient.square().sum(dim=1).mean() / 2


def _differentiable_gradient(function: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """Return the gradient of each sample's score as a row, float (N, F)."""
    (gradient,) = torch.autograd.grad(function(samples).sum(), samples, create_graph=True)
    assert gradient.requires_grad, "the gradient does not depend on the discriminator's parameters"
    return at_least_float32(gradient).flatten(1)


def check_supports_gradient_penalty(discriminator: nn.Module) -> None:
    """Validate that a discriminator supports gradient penalties.

    Raises:
        ConfigurationError: the discriminator is compiled, or uses batch normalization, which makes a sample's gradient
            depend on the rest of the batch.
    """
    for module in discriminator.modules():
        # Compared by name, because importing the class takes longer than importing this package.
        if type(module).__name__ == "OptimizedModule" or module._compiled_call_impl is not None:
            raise ConfigurationError(
                "model.discriminator is compiled, which is incompatible with a gradient penalty: pass it uncompiled"
            )
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ConfigurationError(
                "model.discriminator uses batch normalization, which is incompatible with a gradient penalty: "
                'set normalization: "none"'
            )
