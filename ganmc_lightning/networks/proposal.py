"""Proposal of a student: the largest network that is smaller than a teacher by a given factor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.cnn import FiveLayerCNN
from ganmc_lightning.networks.profiling import count_flops, count_parameters
from ganmc_lightning.networks.wide_resnet import WideResNet

LARGEST_SMALL_IMAGE = 64
"""Side in pixels up to which this package's networks are proposed; networks of timm start with a stride of 2 or 4."""

# Networks whose parameters and FLOPs both increase in this order, nearly: no other of timm's is better in both.
_TIMM_NETWORKS = (
    "lcnet_035",
    "mobilenetv3_small_050",
    "mobilenetv3_small_075",
    "mobilenetv3_small_100",
    "mobilenetv3_large_075",
    "mobilenetv3_large_100",
    "efficientnet_lite1",
    "regnety_008",
    "resnet14t",
    "resnet18",
    "resnet34",
    "resnet50",
)
_WIDE_RESNETS = tuple(product((10, 16, 22, 28), (1, 2, 3, 4, 6, 8)))  # depth, widen_factor
_CNN_WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # channels of the first convolution


class StudentProposal(NamedTuple):
    """Return value of :func:`propose_student`.

    Attributes:
        reference: name of the network, ``timm:NAME`` or ``ganmc_lightning.networks:CLASS``.
        arguments: arguments of the network in addition to the numbers of channels and classes.
        parameters: number of parameters.
        flops: FLOPs of one sample, two per multiply-add.
    """

    reference: str
    arguments: Mapping[str, Any]
    parameters: int
    flops: int


class _Candidate(NamedTuple):
    reference: str
    arguments: Mapping[str, Any]
    network: nn.Module  # on the meta device: shapes without values
    parameters: int


def propose_student(
    teacher: nn.Module, sample_shape: Sequence[int], num_classes: int, smaller: float
) -> StudentProposal:
    """Return the largest network with at most ``1 / smaller`` of the teacher's parameters and at most its FLOPs.

    For images of up to 64 pixels it is a :class:`~ganmc_lightning.networks.WideResNet`, or a
    :class:`~ganmc_lightning.networks.FiveLayerCNN` with batch normalization if each residual network has too many
    parameters or FLOPs. For larger images it is a network of timm. Candidates are built without weights, so neither
    memory nor random numbers are used.

    Args:
        teacher: network from images (N, *sample_shape) to logits.
        sample_shape: shape of one image, (C, H, W).
        num_classes: number of classes of the student.
        smaller: factor > 1, the teacher's number of parameters divided by the student's largest number.

    Raises:
        ConfigurationError: samples are not images, ``smaller`` is 1 or less, the teacher has no parameters, each
            candidate is too large, or timm is required and missing.

    Example:
        >>> from ganmc_lightning.networks import NIN
        >>> proposal = propose_student(NIN(), (3, 32, 32), num_classes=10, smaller=10)
        >>> proposal.reference, proposal.arguments, proposal.parameters
        ('ganmc_lightning.networks:WideResNet', {'depth': 10, 'widen_factor': 4}, 1198810)
    """
    if len(sample_shape) != 3:
        raise ConfigurationError(f"got samples of shape {tuple(sample_shape)}, expected (C, H, W): name a student")
    if smaller <= 1:
        raise ConfigurationError(f"smaller: got {smaller:g}, expected a factor > 1")
    parameter = next(teacher.parameters(), None)
    if parameter is None:
        raise ConfigurationError(f"teacher ({type(teacher).__name__}): got no parameters, expected 1 or more")
    budget = count_parameters(teacher) / smaller
    inputs = torch.zeros(1, *sample_shape, device=parameter.device, dtype=parameter.dtype)
    most_flops = count_flops(teacher, inputs)
    smallest = []
    for family in _families(sample_shape, num_classes):
        descending = sorted(family, key=lambda each: -each.parameters)
        for reference, arguments, network, parameters in descending:
            if parameters <= budget and (flops := count_flops(network, inputs.to("meta"))) <= most_flops:
                return StudentProposal(reference, arguments, parameters, flops)
        smallest.append(descending[-1])
    least = min(smallest, key=lambda each: each.parameters)
    raise ConfigurationError(
        f"smaller: got {smaller:g}, expected a smaller factor: no proposed network has at most {budget:,.0f} "
        f"parameters and {most_flops:,} FLOPs; the smallest, {least.reference}, has {least.parameters:,} parameters"
    )


def _families(sample_shape: Sequence[int], num_classes: int) -> Iterator[Iterator[_Candidate]]:
    """Yield the candidates of each family, the preferred family first."""
    channels, height, width = sample_shape
    if max(height, width) > LARGEST_SMALL_IMAGE:
        yield _timm_networks(channels, num_classes)
        return
    common = {"in_channels": channels, "num_classes": num_classes}
    residual = [{"depth": depth, "widen_factor": factor} for depth, factor in _WIDE_RESNETS]
    yield _own_networks(WideResNet, residual, common)
    if height == width >= 8:
        widths = [(n, 2 * n, 4 * n, 8 * n) for n in _CNN_WIDTHS]
        plain = [{"image_size": height, "widths": each, "batch_norm": True} for each in widths]
        yield _own_networks(FiveLayerCNN, plain, common)


def _own_networks(
    network_class: type[nn.Module], settings: list[dict[str, Any]], common: Mapping[str, int]
) -> Iterator[_Candidate]:
    for arguments in settings:
        with torch.device("meta"):
            network = network_class(**arguments, **common)
        reference = f"ganmc_lightning.networks:{network_class.__name__}"
        yield _Candidate(reference, arguments, network, count_parameters(network))


def _timm_networks(channels: int, num_classes: int) -> Iterator[_Candidate]:
    try:
        import timm
    except ImportError as error:
        raise ConfigurationError(
            f"proposing a student for images of more than {LARGEST_SMALL_IMAGE} pixels requires timm: "
            'pip install "ganmc-lightning[vision]"'
        ) from error
    for name in _TIMM_NETWORKS:
        try:
            with torch.device("meta"):
                network = timm.create_model(name, num_classes=num_classes, in_chans=channels)
        except NotImplementedError:  # RegNets call torch.unique, which torch 2.10 cannot do on the meta device
            continue
        yield _Candidate(f"timm:{name}", {}, network, count_parameters(network))
