"""Penalties on the slope of a discriminator, which keep it from winning."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.precision import at_least_float32


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """``E (||grad f(x)|| - 1)^2`` between real and generated samples (Gulrajani et al. 2017, equation 3).

    Each x lies at a random place on the line between one real and one generated sample. The critic runs in the
    precision of ``real``, without autocast, and the norms are computed in float32 or wider.

    Args:
        critic: from samples to values (N,). No compiled one: ``torch.compile`` and a gradient of a gradient do
            not go together.
        real: samples (N, ...).
        fake: as many generated samples, without gradients.

    Returns:
        Scalar, with a graph to the critic's parameters.
    """
    with torch.autocast(real.device.type, enabled=False):
        place = torch.rand(len(real), *(1,) * (real.dim() - 1), device=real.device, dtype=torch.float32).to(real.dtype)
        between = torch.lerp(real, fake.to(real.dtype), place).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty: Tensor = (at_least_float32(gradient).flatten(1).norm(dim=1) - 1).square().mean()
    assert penalty.requires_grad, "the gradient penalty has no graph: it would teach the critic nothing"
    return penalty


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """``E ||grad D(x)||^2 / 2`` at real samples (Mescheder et al. 2018, equation 9).

    The discriminator runs in the precision of ``real``, without autocast, and the squares are summed in float32 or
    wider.

    Args:
        discriminator: from samples to logits (N,). No compiled one, as for :func:`gradient_penalty`.
        real: samples (N, ...).

    Returns:
        Scalar, with a graph to the discriminator's parameters.

    Example:
        >>> slope = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> r1_penalty(lambda x: x @ slope, torch.zeros(5, 2)).item()
        12.5
    """
    with torch.autocast(real.device.type, enabled=False):
        samples = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(samples).sum(), samples, create_graph=True)
        penalty: Tensor = at_least_float32(gradient).flatten(1).square().sum(dim=1).mean() / 2
    assert penalty.requires_grad, "the gradient penalty has no graph: it would teach the discriminator nothing"
    return penalty


def check_supports_gradient_penalty(discriminator: nn.Module) -> None:
    """Refuse a discriminator whose gradients cannot be penalised.

    Raises:
        ConfigurationError: it is compiled, and its second derivatives may be silently wrong, or it has batch
            normalization, which makes a sample's gradient depend on the others.
    """
    for module in discriminator.modules():
        # By name: importing the class takes longer than the rest of this package.
        if type(module).__name__ == "OptimizedModule" or module._compiled_call_impl is not None:
            raise ConfigurationError("model.discriminator is compiled: a gradient penalty needs it as it is")
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ConfigurationError(
                "model.discriminator has batch normalization, under which a gradient penalty means nothing: "
                'build it with normalization: "none"'
            )
