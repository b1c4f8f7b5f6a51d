"""Statistics of real samples for the metrics, cached on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import read_array
from ganmc_lightning.io.format_version import FORMAT_VERSION
from ganmc_lightning.io.npz import write_npz
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features

BATCH_SIZE = 256
KEY_LENGTH = 32
SUBSET_SEED = 0
Track = Callable[[Iterable[Any]], Iterable[Any]]
"""Function that wraps an iterable and displays progress, like ``tqdm``."""


@dataclass(frozen=True)
class ReferenceStatistics:
    """Statistics of the features of real samples.

    Attributes:
        count: number of samples.
        mean: mean of the features, float64 (D,).
        covariance: covariance of the features with denominator ``count - 1``, float64 (D, D).
        features: features of a fixed random subset in the order of the samples, float32 (M, D), M <= count; used by
            KID, PRDC and near duplicates.
    """

    count: int
    mean: Tensor
    covariance: Tensor
    features: Tensor


def compute_reference_statistics(
    samples: Tensor,
    extractor: FeatureExtractor,
    *,
    cache: Path | None = None,
    keep: int = 10_000,
    batch_size: int = BATCH_SIZE,
    progress: Track = iter,
) -> ReferenceStatistics:
    """Compute the statistics of real samples, or read them from the cache.

    The name of a cache file is a hash of the format version, the samples, the extractor and ``keep``. Damaged files are
    computed again.

    Args:
        samples: at least 2 uint8 images (N, C, H, W) or float rows (N, D).
        extractor: feature extractor.
        cache: folder of the cache files; None disables the cache.
        keep: maximum number of feature vectors to keep.
        batch_size: number of samples per forward pass.
        progress: function that wraps the iterable of batches, like ``tqdm``.

    Raises:
        ConfigurationError: fewer than 2 samples, or the extractor rejects the samples.

    Example:
        >>> from ganmc_lightning.metrics import ClassifierExtractor
        >>> extractor = ClassifierExtractor(torch.nn.Linear(2, 2))
        >>> compute_reference_statistics(torch.tensor([[0.0, 1.0], [2.0, 5.0]]), extractor).mean
        tensor([1., 3.], dtype=torch.float64)
    """
    if len(samples) < 2:
        raise ConfigurationError(f"reference statistics: got {len(samples)} real samples, expected at least 2")
    path = None if cache is None else cache / f"{_key(samples, extractor, keep)}.npz"
    if path is not None:
        cached = _read(path, len(samples), extractor.num_features, min(keep, len(samples)))
        if cached is not None:
            return cached
    statistics = _compute(samples, extractor, keep, batch_size, progress)
    if path is not None:
        arrays: dict[str, NDArray[np.generic]] = {
            "mean": statistics.mean.numpy(),
            "covariance": statistics.covariance.numpy(),
            "features": statistics.features.numpy(),
        }
        with suppress(ConfigurationError):  # a full disk must not stop the evaluation
            write_npz(path, arrays)
    return statistics


def extract_features(
    samples: Tensor, extractor: FeatureExtractor, batch_size: int = BATCH_SIZE, progress: Track = iter
) -> Features:
    """Return features and logits of all samples (N, ...) on the CPU."""
    batches = [extractor(batch) for batch in progress(samples.split(batch_size))]
    return Features(*(torch.cat([values.cpu() for values in field]) for field in zip(*batches, strict=True)))


def _compute(
    samples: Tensor, extractor: FeatureExtractor, keep: int, batch_size: int, progress: Track
) -> ReferenceStatistics:
    subset = torch.zeros(len(samples), dtype=torch.bool)
    # a random subset: the samples may be sorted by class
    subset[torch.randperm(len(samples), generator=torch.Generator().manual_seed(SUBSET_SEED))[:keep]] = True
    kept, done = [], 0
    for batch in progress(samples.split(batch_size)):
        features = extractor(batch).features
        if not bool(features.isfinite().all()):
            raise ConfigurationError(
                f"{extractor.name}: got NaN or infinite features: check its weights and the samples"
            )
        rows = features.double()
        if done == 0:
            shift = rows.mean(dim=0)  # moments about the mean of the first batch have smaller rounding errors
            total, squares = torch.zeros_like(shift), torch.zeros_like(torch.outer(shift, shift))
        rows = rows - shift
        total += rows.sum(dim=0)
        squares += rows.T @ rows
        kept.append(features.cpu()[subset[done : done + len(batch)]])
        done += len(batch)
    covariance = (squares - torch.outer(total, total) / done) / (done - 1)
    return ReferenceStatistics(done, (shift + total / done).cpu(), covariance.cpu(), torch.cat(kept))


def _key(samples: Tensor, extractor: FeatureExtractor, keep: int) -> str:
    fingerprint = hashlib.sha256(samples.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    shape, dtype = list(samples.shape), str(samples.dtype)
    parts = [FORMAT_VERSION, shape, dtype, fingerprint.hexdigest(), extractor.digest, keep]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:KEY_LENGTH]


def _read(path: Path, count: int, size: int, kept: int) -> ReferenceStatistics | None:
    """Read a cache file; return None if it is missing or damaged."""
    if not path.is_file():
        return None
    expected = {
        "mean": ((size,), np.float64),
        "covariance": ((size, size), np.float64),
        "features": ((kept, size), np.float32),
    }
    tensors = {}
    for name, (shape, dtype) in expected.items():
        try:
            array = read_array(path, name)
        except ConfigurationError:  # the checksums of the zip format detect damage
            return None
        if array.shape != shape or array.dtype != dtype or not np.isfinite(array).all():
            return None
        tensors[name] = torch.from_numpy(array)
    return ReferenceStatistics(count, **tensors)
