"""Compression Scores from a data module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ganmc_lightning.batch import UNKNOWN_LABEL, SupportsDataSpec
from ganmc_lightning.metrics.compression_score import EPOCHS, CompressionScore, Variant
from ganmc_lightning.networks.training_data import input_conversion
from ganmc_lightning.networks.validation import check_classifier


def make_compression_scores(
    data: SupportsDataSpec,
    teacher: nn.Module,
    student: Callable[[], nn.Module],
    *,
    held_out_split: str,
    variants: Sequence[Variant] = tuple(EPOCHS),
    device: torch.device | str | None = None,
    prefix: str = "--",
    **settings: Any,
) -> dict[str, CompressionScore]:
    """Return a :class:`CompressionScore` per variant, with the training samples of a data module as real samples.

    Args:
        data: data module of the real data, after setup.
        teacher: classifier trained on the training split; rows are rescaled if it was trained on other statistics.
        student: function that returns a new student.
        held_out_split: split used to train neither teacher nor generator, ``"val"`` or ``"test"``.
        variants: ``"5_epochs"`` (paper), ``"1_epoch"`` (poster) or both.
        device: device of the networks (default: the device of the data).
        prefix: prefix of ``teacher`` and ``student`` in error messages.
        settings: further arguments of :class:`CompressionScore`, such as ``seeds`` and ``batch_size``.

    Returns:
        ``compression_score_<variant>`` -> score.

    Raises:
        ConfigurationError: inputs or outputs of teacher or student do not match the data.
    """
    with torch.random.fork_rng(devices=[]):  # creating this student must not change the global random state
        networks = {"teacher": teacher, "student": student()}
    for name, network in networks.items():
        check_classifier(f"{prefix}{name}", network, data.spec)
    adapted = nn.Sequential(input_conversion(f"{prefix}teacher", teacher, data.spec), teacher)
    real, classes = data.samples("train")
    real, classes = real.to(device), classes[classes != UNKNOWN_LABEL]
    common = int(classes.bincount().argmax()) if len(classes) > 0 else None
    samples, labels = data.samples(held_out_split)
    held_out = (samples.to(device), labels.to(device))
    scores = {}
    for variant in variants:
        # computed in one process: callbacks evaluate on rank 0 while the other ranks wait
        score = CompressionScore(
            adapted, student, held_out, variant, most_common_class=common, sync_on_compute=False, **settings
        )
        score.update(real, real=True)
        scores[f"compression_score_{variant}"] = score.to(real.device)
    return scores
