"""Compression Scores from a data module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.metrics.compression_score import CompressionScore, Variant
from ganmc_lightning.networks.training_data import input_conversion
from ganmc_lightning.networks.validation import check_classifier

VARIANTS: tuple[Variant, ...] = ("5_epochs", "1_epoch")


def make_compression_score(
    data: SupportsDataSpec,
    teacher: nn.Module,
    student: Callable[[], nn.Module],
    *,
    held_out_split: str,
    device: torch.device | str | None = None,
    prefix: str = "--",
    **settings: Any,
) -> CompressionScore:
    """Return a :class:`CompressionScore` with the training samples of a data module as real samples.

    Args:
        data: data module of the real data, after setup.
        teacher: classifier trained on the training split; rows are rescaled if it was trained on other statistics.
        student: function that returns a new student.
        held_out_split: split used to train neither teacher nor generator, ``"val"`` or ``"test"``.
        device: device of the networks (default: the device of the data).
        prefix: prefix of ``teacher`` and ``student`` in error messages.
        settings: further arguments of :class:`CompressionScore`, such as ``variant`` and ``seeds``.

    Raises:
        ConfigurationError: inputs or outputs of teacher or student do not match the data.
    """
    check_classifier(f"{prefix}teacher", teacher, data.spec)
    with torch.random.fork_rng(devices=[]):  # creating this student must not change the global random state
        check_classifier(f"{prefix}student", student(), data.spec)
    adapted = nn.Sequential(input_conversion(f"{prefix}teacher", teacher, data.spec), teacher)
    samples, labels = data.samples(held_out_split)
    # computed in one process: callbacks evaluate on rank 0 while the other ranks wait
    held_out = (samples.to(device), labels.to(device))
    metric = CompressionScore(adapted, student, held_out, sync_on_compute=False, **settings)
    real = data.samples("train")[0].to(device)
    metric.update(real, real=True)
    return metric.to(real.device)
