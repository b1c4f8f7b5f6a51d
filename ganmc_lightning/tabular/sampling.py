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


def check_finite(X: Samples, feature_names: Sequence[str] | None, name: str) -> None:
    """Validate that all values are finite.

    Raises:
        ConfigurationError: naming the first column with NaN or infinity.
    """
    invalid = ~np.isfinite(X)
    if invalid.any():
        column = int(invalid.any(axis=0).argmax())
        kind = "NaN" if np.isnan(X[:, column]).any() else "infinity"
        raise ConfigurationError(
            f"{name}: {column_name(feature_names, column)} contains {kind} in {int(invalid[:, column].sum())} samples, "
            "expected finite values"
        )


def check_varying(X: Samples, feature_names: Sequence[str] | None) -> None:
    """Validate that no column is constant, because z-scores would divide by zero.

    Raises:
        ConfigurationError: naming the first constant column.
    """
    constant = np.equal(X, X[:1]).all(axis=0)
    if len(X) and constant.any():
        raise ConfigurationError(
            f"X: {column_name(feature_names, int(constant.argmax()))} is constant; drop it "
            "(sklearn.feature_selection.VarianceThreshold)"
        )


def check_float32(X: Samples, feature_names: Sequence[str] | None) -> None:
    """Validate that float32, the type scikit-learn's trees compare in, represents every column.

    Raises:
        ConfigurationError: naming the first column whose rounding error exceeds :data:`MAX_ROUNDING` standard
            deviations, such as timestamps.
    """
    rounding = np.abs(X.astype(np.float32) - X).max(axis=0)
    imprecise = (rounding > MAX_ROUNDING * X.std(axis=0)) & np.not_equal(X, X[:1]).any(axis=0)
    if imprecise.any():
        column = int(imprecise.argmax())
        raise ConfigurationError(
            f"X: {column_name(feature_names, column)} has values near {X[0, column]:.0f}, which float32 in trees "
            f"rounds by up to {rounding[column]:.3g}; subtract the mean"
        )


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
) -> Samples:
    """Draw synthetic samples in the units of the data.

    A :class:`~ganmc_lightning.synthesizers.Synthesizer` is copied and fitted to the z-scores of the real samples, and
    its samples are scaled back. Any other object must be fitted and return samples in the units of the data. The
    global random generators of NumPy and PyTorch are seeded while it samples.

    Args:
        synthesizer: source of the samples.
        X: real samples (N, D), finite.
        y: labels (N,) in 0..K-1.
        n: number of samples to draw.
        seed: random seed.
        feature_names: names of the features; the columns of a returned data frame are reordered to them.

    Returns:
        float64 (n, D).

    Raises:
        ConfigurationError: a column is constant, the synthesizer rejects the data, or its samples are not finite or
            have another shape.
        NotFittedError: a scikit-learn synthesizer is not fitted.
    """
    # imported here because an estimator without synthesizer does not need PyTorch
    from ganmc_lightning.synthesizers.base import Synthesizer

    kind = type(synthesizer).__name__
    if isinstance(synthesizer, Synthesizer):
        samples = _fit_and_sample(synthesizer, X, y, n, seed, feature_names)
    else:
        with seeded_globals(seed):
            drawn = synthesizer.sample(n)
        samples = _to_array(drawn[0] if isinstance(drawn, tuple) else drawn, feature_names)
        if samples.shape != (n, X.shape[1]):
            raise ConfigurationError(
                f"synthesizer: sample({n}) of {kind} returned shape {samples.shape}, expected ({n}, {X.shape[1]})"
            )
    check_finite(samples, feature_names, f"synthesizer: samples of {kind}")
    return samples


def _fit_and_sample(
    synthesizer: Any, X: Samples, y: NDArray[np.int64], n: int, seed: int, feature_names: Sequence[str] | None
) -> Samples:
    import torch

    from ganmc_lightning.batch import DataSpec

    check_varying(X, feature_names)
    mean, std = X.mean(axis=0), X.std(axis=0)
    synthesizer = copy.deepcopy(synthesizer)  # the caller's may be fitted to other data
    inputs = torch.from_numpy(((X - mean) / std).astype(np.float32))
    synthesizer.fit(inputs, torch.from_numpy(y), DataSpec((X.shape[1],), int(y.max()) + 1))
    with torch.no_grad():
        samples, _ = synthesizer.sample(n, torch.Generator().manual_seed(seed))
    scaled_back: Samples = samples.numpy().astype(np.float64) * std + mean
    return scaled_back


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
