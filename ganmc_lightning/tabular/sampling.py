"""Synthetic samples in the units of the data, from any object with ``sample(n)``."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError

Samples = NDArray[np.float64]
HEAVY_TAIL = 10
"""Ratio of the standard deviation and that of the central values, from which a column has heavy tails."""
MAX_ROUNDING = 1e-3
"""Largest float32 rounding error of a column, in standard deviations."""


class SupportsSample(Protocol):
    """Source of samples: a synthesizer of this package, the generator of a checkpoint, another library's model."""

    def sample(self, n: int) -> Any:
        """Return ``n`` samples (n, D), or samples and labels, as arrays, tensors or data frames."""
        ...


def column_name(feature_names: Sequence[str] | None, column: int) -> str:
    """Format the name of a column for error messages.

    Example:
        >>> column_name(None, 3), column_name(["a", "b"], 1)
        ('column 3', "column 'b'")
    """
    return f"column {column}" if feature_names is None else f"column {str(feature_names[column])!r}"


def check_finite(X: Samples, feature_names: Sequence[str] | None, name: str, allow_nan: bool = False) -> None:
    """Validate that all values are finite, or NaN where this is allowed.

    Raises:
        ConfigurationError: naming the first column with NaN or infinity.
    """
    invalid = np.isinf(X) if allow_nan else ~np.isfinite(X)
    if invalid.any():
        column = int(invalid.any(axis=0).argmax())
        kind = "NaN" if np.isnan(X[invalid[:, column], column]).any() else "infinity"
        raise ConfigurationError(
            f"{name}: {column_name(feature_names, column)} contains {kind} in {int(invalid[:, column].sum())} samples, "
            "expected finite values"
        )


def check_float32(X: Samples, feature_names: Sequence[str] | None) -> None:
    """Validate that float32, the type scikit-learn's trees compare in, represents every column.

    Raises:
        ConfigurationError: naming the first column whose values exceed the range of float32, or whose rounding error
            exceeds :data:`MAX_ROUNDING` standard deviations, such as timestamps.
    """
    for column in range(X.shape[1]):  # copies of one column, not of a large table
        values = X[:, column][np.isfinite(X[:, column])]  # a table may have missing values
        largest = np.abs(values).max(initial=0)
        if largest > np.finfo(np.float32).max:
            raise ConfigurationError(
                f"X: {column_name(feature_names, column)} has values up to {largest:.3g}, beyond the range of float32 "
                "in trees; divide the column by a constant"
            )
        rounding = np.abs(values.astype(np.float32) - values).max(initial=0)
        if rounding > 0 and np.ptp(values) > 0 and rounding > MAX_ROUNDING * values.std():
            raise ConfigurationError(
                f"X: {column_name(feature_names, column)} has values near {values[0]:.0f}, which float32 in trees "
                f"rounds by up to {rounding:.3g}; subtract the mean"
            )


def robust_center_scale(X: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute center and scale (D,) of each column for synthesizers: mean and standard deviation, or robust ones.

    Half the distance of the quantiles 0.159 and 0.841 equals the standard deviation of a normal distribution. Where the
    standard deviation is more than :data:`HEAVY_TAIL` times as large, a few values determine it, and noise of a tenth
    of it would hide all others; median and half the distance are used there. A column whose quantiles are equal keeps
    mean and standard deviation. A constant column has its value and 1.

    Args:
        X: real samples (N, D), finite.

    Example:
        >>> rows = np.column_stack([np.arange(101.0), np.append(np.arange(100.0), 1e12)])
        >>> center, scale = robust_center_scale(rows)
        >>> center.tolist(), scale.round(1).tolist()
        ([50.0, 50.0], [29.2, 34.1])
    """
    deviation = X.std(axis=0)
    low, median, high = np.quantile(X, (0.1587, 0.5, 0.8413), axis=0)
    heavy = (high > low) & (deviation > HEAVY_TAIL * (high - low) / 2)
    center, scale = np.where(heavy, median, X.mean(axis=0)), np.where(heavy, (high - low) / 2, deviation)
    constant = np.ptp(X, axis=0) == 0  # not deviation == 0, because the mean has rounding errors
    return np.where(constant, X[0], center), np.where(constant, 1.0, scale)


def extend_weights(sample_weight: NDArray[np.float64] | None, n_synthetic: int) -> NDArray[np.float64] | None:
    """Append the mean weight of the real samples for each synthetic sample; None stays None.

    Example:
        >>> extend_weights(np.array([1.0, 3.0]), 2)
        array([1., 3., 2., 2.])
    """
    if sample_weight is None:
        return None
    return np.concatenate([sample_weight, np.full(n_synthetic, sample_weight.mean())])


def sample_rows(
    synthesizer: SupportsSample,
    X: Samples,
    y: NDArray[np.int64],
    n: int,
    seed: int,
    feature_names: Sequence[str] | None = None,
    allow_nan: bool = False,
) -> Samples:
    """Draw synthetic samples in the units of the data.

    A :class:`~ganmc_lightning.synthesizers.Synthesizer` is copied and fitted to the z-scores of the real samples, see
    :func:`robust_center_scale`, and its samples are scaled back; constant columns keep their value. Samples of a GAN
    are converted from the z-scores of its training data; a GAN trained with ``quantile_transform`` is rejected, pass
    :func:`~ganmc_lightning.tabular.checkpoint.load_synthesizer` instead. Any other object must be fitted and return
    samples in the units of the data. The global random generators of NumPy and PyTorch are seeded while it samples.

    Args:
        synthesizer: source of the samples.
        X: real samples (N, D), finite.
        y: labels (N,) in 0..K-1.
        n: number of samples to draw.
        seed: random seed.
        feature_names: names of the features; the columns of a returned data frame are reordered to them.
        allow_nan: whether samples may contain NaN (default: False).

    Returns:
        float64 (n, D).

    Raises:
        ConfigurationError: the synthesizer rejects the data, or its samples are not finite or have another shape.
        NotFittedError: a scikit-learn synthesizer is not fitted.
    """
    # imported here because an estimator without synthesizer does not need PyTorch
    from ganmc_lightning.synthesizers.base import Synthesizer

    kind = type(synthesizer).__name__
    if isinstance(synthesizer, Synthesizer):
        samples = _fit_and_sample(synthesizer, X, y, n, seed)
    else:
        with seeded_globals(seed):
            drawn = synthesizer.sample(n)
        samples = _to_array(drawn[0] if isinstance(drawn, tuple) else drawn, feature_names)
        if samples.shape != (n, X.shape[1]):
            raise ConfigurationError(
                f"synthesizer: sample({n}) of {kind} returned shape {samples.shape}, expected ({n}, {X.shape[1]})"
            )
    check_finite(samples, feature_names, f"synthesizer: samples of {kind}", allow_nan)
    return samples


def fill_missing(X: Samples, codes: NDArray[np.int64], random: np.random.Generator) -> Samples:
    """Replace each NaN by the value of a random row of the same class, else of any class; zeros in an empty column.

    Args:
        X: rows (N, D).
        codes: classes (N,).
        random: random generator.

    Example:
        >>> X = np.array([[1.0], [np.nan], [9.0], [np.nan]])
        >>> fill_missing(X, np.array([0, 0, 1, 1]), np.random.default_rng(0))[:, 0].tolist()
        [1.0, 1.0, 9.0, 9.0]
    """
    filled = X.copy()
    for column in np.flatnonzero(np.isnan(X).any(axis=0)):
        for code in np.unique(codes):
            missing = np.isnan(X[:, column]) & (codes == code)
            present = X[~np.isnan(X[:, column]) & (codes == code), column]
            if not len(present):
                present = X[~np.isnan(X[:, column]), column]
            filled[missing, column] = random.choice(present, missing.sum()) if len(present) else 0
    return filled


def _fit_and_sample(synthesizer: Any, X: Samples, y: NDArray[np.int64], n: int, seed: int) -> Samples:
    import torch

    from ganmc_lightning.batch import DataSpec, Statistics

    center, scale = robust_center_scale(X)
    synthesizer = copy.deepcopy(synthesizer)  # the caller's may be fitted to other data
    inputs = torch.from_numpy(((X - center) / scale).astype(np.float32))
    statistics = Statistics(torch.from_numpy(center), torch.from_numpy(scale))
    spec = DataSpec((X.shape[1],), int(y.max()) + 1, statistics=statistics)
    try:
        with torch.no_grad():
            synthesizer.fit(inputs, torch.from_numpy(y), spec)
            synthesizer.start_epoch(0, seed)
            samples, _ = synthesizer.sample(n, torch.Generator().manual_seed(seed))
    except ConfigurationError as error:  # such as a class with too few rows
        raise ConfigurationError(f"synthesizer: {str(error).removeprefix('data.synthesizer: ')}") from error
    scaled_back: Samples = samples.numpy().astype(np.float64) * scale + center
    return np.where(np.ptp(X, axis=0) == 0, X[0], scaled_back)


def _to_array(drawn: Any, feature_names: Sequence[str] | None) -> Samples:
    import torch

    if isinstance(drawn, torch.Tensor):
        drawn = drawn.detach().cpu().numpy()
    elif feature_names is not None and not isinstance(drawn, np.ndarray):
        try:
            drawn = drawn[list(feature_names)]
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"synthesizer: samples lack columns of X ({error})") from error
    try:
        return np.asarray(drawn, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"synthesizer: samples are not numeric ({error}); encode them as X") from error


def one_hot_argmax(X: Samples, one_hot_blocks: Sequence[tuple[int, int]]) -> Samples:
    """Set the largest value of each one-hot block to 1 and the remaining values to 0.

    Args:
        X: samples (N, D).
        one_hot_blocks: first column and last column + 1 of each block.

    Example:
        >>> one_hot_argmax(np.array([[7.5, 0.2, 0.9]]), [(1, 3)]).tolist()
        [[7.5, 0.0, 1.0]]
    """
    projected = X.copy()
    for start, stop in one_hot_blocks:
        projected[:, start:stop] = np.eye(stop - start)[X[:, start:stop].argmax(axis=1)]
    return projected


@contextmanager
def seeded_globals(seed: int) -> Iterator[None]:
    """Seed the global random generators and restore them, for synthesizers without a seed argument."""
    import torch

    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
