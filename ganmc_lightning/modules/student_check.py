"""Validation of a student against its frozen teacher."""

from __future__ import annotations

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.validation import share_tensors


def check_student(teacher: nn.Module, student: nn.Module) -> None:
    """Validate that the teacher is frozen, the student is trainable, and both are separate networks.

    Raises:
        ConfigurationError: a parameter of the teacher is trainable or none of the student, or they share layers.

    Example:
        >>> layer = nn.BatchNorm1d(2)
        >>> check_student(nn.Sequential(layer).requires_grad_(False), nn.Sequential(layer, nn.Linear(2, 2)))
        Traceback (most recent call last):
        ...
        ganmc_lightning.exceptions.ConfigurationError: model.student shares layers with the frozen model.teacher, ...
    """
    trainable = [name for name, parameter in teacher.named_parameters() if parameter.requires_grad]
    if trainable:
        raise ConfigurationError(
            f"model.teacher: {trainable[0]} has requires_grad=True, expected a frozen teacher; do not unfreeze it "
            "after the module is created"
        )
    check_separate("model.student", student, "the frozen model.teacher", teacher)
    if not any(parameter.requires_grad for parameter in student.parameters()):
        raise ConfigurationError("model.student has no trainable parameter, expected a network that is not frozen")


def check_separate(name: str, network: nn.Module, other_name: str, other: nn.Module) -> None:
    """Validate that two networks have no parameter and no buffer in common.

    Raises:
        ConfigurationError: they share layers.
    """
    if share_tensors(network, other):
        raise ConfigurationError(f"{name} shares layers with {other_name}, expected separate networks: pass a copy")
