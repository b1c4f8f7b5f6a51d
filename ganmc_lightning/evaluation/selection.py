"""Which metrics to compute, and what they are held against."""

from __future__ import annotations

from collections.abc import Sequence

from ganmc_lightning.evaluation.feature_metrics import FEATURE_METRICS
from ganmc_lightning.evaluation.real_data import RealData
from ganmc_lightning.exceptions import ConfigurationError

METRICS = (*FEATURE_METRICS, "vol", "compression_score")


def select_metrics(
    asked: Sequence[str] | None, data: RealData, extractor: bool, students: bool
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Decide which metrics to compute: those asked for, or all that can be.

    Args:
        asked: some of :data:`METRICS`; None for all.
        data: the real data.
        extractor: whether there is one.
        students: whether teacher and student are given.

    Returns:
        The metrics, and the others with the reason.

    Raises:
        ConfigurationError: one that was asked for is unknown or cannot be computed.
    """
    missing: dict[str, str] = {}
    if not extractor:
        missing |= dict.fromkeys(FEATURE_METRICS, "needs --extractor")
    if not (data.is_images and data.spec.sample_shape[0] in (1, 3)):
        missing["vol"] = "needs images with 1 or 3 channels"
    if not students:
        missing["compression_score"] = "needs --teacher and --student"
    for name in asked or ():
        if name not in METRICS:
            raise ConfigurationError(f"--metrics: '{name}' is unknown: name some of {', '.join(METRICS)}")
        if name in missing:
            raise ConfigurationError(f"--metrics: {name} {missing[name]}")
    wanted = METRICS if asked is None else asked
    return tuple(name for name in METRICS if name in wanted and name not in missing), {
        name: reason for name, reason in missing.items() if asked is None
    }


def held_out_split(real_part: str) -> str:
    """Part that scores are held against: the validation part while choices are made, else the test part."""
    return "val" if real_part == "val" else "test"
