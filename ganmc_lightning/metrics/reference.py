"""Statistics of real samples, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import read_array
from ganmc_lightning.io.npz import write_npz
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features

BATCH_SIZE = 256
KEY_LENGTH = 32
CHOICE_SEED = 0
Progress = Callable[[Iterable[Tensor]], Iterable[Tensor]]


@dataclass(frozen=True)
class ReferenceStatistics:
    """What the metrics need to know of the real samples.

    Attributes:
        count: number of samples.
        mean: float64 (D,) mean of their features.
        covariance: float64 (D, D), with ``count - 1`` in the denominator.
        features: float32 (M, D), M <= count: those of a fixed random choice, in the samples' order, for KID, PRDC and
            near copies.
    """

    count: int
    mean: Tensor
    covariance: Tensor
    features: Tensor


def reference_statistics(
    samples: Tensor,
    extractor: FeatureExtractor,
    data: str,
    split: str,
    cache: Path | None = None,
    transform: str = "none",
    keep: int = 10_000,
    batch_size: int = BATCH_SIZE,
    progress: Progress = iter,
) -> ReferenceStatistics:
    """Read the statistics of real samples from the cache, or compute and store them.

    The file's name is a hash of all arguments that matter and of the samples themselves, so that a changed data set
    or extractor is never mistaken for another. A damaged file is computed anew.

    Args:
        samples: uint8 images (N, C, H, W) or float rows (N, D), at least 2.
        extractor: turns them into features.
        data: name of the data set.
        split: which part of it.
        cache: folder of the files; without it nothing is stored.
        transform: what was done to the samples since they were read.
        keep: how many feature vectors to keep.
        batch_size: samples in one pass.
        progress: wraps the iteration over batches, as ``tqdm`` does.

    Raises:
        ConfigurationError: fewer than 2 samples, or samples the extractor does not take.
    """
    if len(samples) < 2:
        raise ConfigurationError(f"{data}: statistics need at least 2 real samples, got {len(samples)}")
    path = None
    if cache is not None:
        path = cache / f"{_key(samples, extractor, data, split, transform, keep)}.npz"
        known = _read(path, len(samples), extractor.num_features, min(keep, len(samples)))
        if known is not None:
            return known
    found = _compute(samples, extractor, keep, batch_size, progress)
    if path is not None:
        arrays: dict[str, NDArray[np.generic]] = {
            "mean": found.mean.numpy(),
            "covariance": found.covariance.numpy(),
            "features": found.features.numpy(),
        }
        with suppress(ConfigurationError):  # a full disk costs the next run time, not this one its result
            write_npz(path, arrays)
    return found


def features_of(
    samples: Tensor, extractor: FeatureExtractor, batch_size: int = BATCH_SIZE, progress: Progress = iter
) -> Features:
    """Features and logits of all samples (N, ...), on the CPU."""
    parts = [extractor(batch) for batch in progress(samples.split(batch_size))]
    return Features(
        torch.cat([part.features.cpu() for part in parts]), torch.cat([part.logits.cpu() for part in parts])
    )


def _compute(
    samples: Tensor, extractor: FeatureExtractor, keep: int, batch_size: int, progress: Progress
) -> ReferenceStatistics:
    """One pass; the moments are taken around the mean of the first batch, which spares digits."""
    chosen = torch.zeros(len(samples), dtype=torch.bool)
    # A random choice, for files are often sorted by class; always the same one.
    chosen[torch.randperm(len(samples), generator=torch.Generator().manual_seed(CHOICE_SEED))[:keep]] = True
    kept, done = [], 0
    for batch in progress(samples.split(batch_size)):
        features = extractor(batch).features
        if not bool(features.isfinite().all()):
            raise ConfigurationError(
                f"{extractor.name} answers with NaN or infinity: check its weights and the samples"
            )
        rows = features.double()
        if done == 0:
            centre = rows.mean(dim=0)
            total, squares = torch.zeros_like(centre), torch.zeros_like(torch.outer(centre, centre))
        rows = rows - centre
        total += rows.sum(dim=0)
        squares += rows.T @ rows
        kept.append(features.cpu()[chosen[done : done + len(batch)]])
        done += len(batch)
    covariance = (squares - torch.outer(total, total) / done) / (done - 1)
    return ReferenceStatistics(done, (centre + total / done).cpu(), covariance.cpu(), torch.cat(kept))


def _key(samples: Tensor, extractor: FeatureExtractor, data: str, split: str, transform: str, keep: int) -> str:
    fingerprint = hashlib.sha256(samples.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    parts = {
        "data": data,
        "split": split,
        "shape": list(samples.shape),
        "dtype": str(samples.dtype),
        "samples": fingerprint.hexdigest(),
        "extractor": extractor.digest,
        "transform": transform,
        "keep": keep,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]


def _read(path: Path, count: int, size: int, kept: int) -> ReferenceStatistics | None:
    """What a file of an earlier run holds; None where there is none to be trusted."""
    if not path.is_file():
        return None
    due = {
        "mean": ((size,), np.float64),
        "covariance": ((size, size), np.float64),
        "features": ((kept, size), np.float32),
    }
    tensors = {}
    for name, (shape, dtype) in due.items():
        try:
            array = read_array(path, name)
        except ConfigurationError:  # damaged: the zip format's checksums tell
            return None
        if array.shape != shape or array.dtype != dtype or not np.isfinite(array).all():
            return None
        tensors[name] = torch.from_numpy(array)
    return ReferenceStatistics(count, **tensors)
