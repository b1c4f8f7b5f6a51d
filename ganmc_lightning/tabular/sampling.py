"""Synthetic rows in the units of the data, from whatever has ``sample(n)``."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from ganmc_lightning.exceptions import ConfigurationError

Rows = NDArray[np.float64]
MAX_ROUNDING = 1e-3
"""Most that float32 may round the values of a column by, in standard deviations."""


class SupportsSample(Protocol):
    """Anything that makes rows: a package synthesizer, a GAN's checkpoint, another library's model."""

    def sample(self, n: int) -> Any:
        """Return ``n`` rows (n, D), or rows and their classes; arrays, tensors or data frames."""
        ...


def column_name(names: Sequence[str] | None, column: int) -> str:
    """How a message names a column.

    Example:
        >>> column_name(None, 3), column_name(["a", "b"], 1)
        ('column 3', "column 'b'")
    """
    return f"column {column}" if names is None else f"column {str(names[column])!r}"


def check_finite(rows: Rows, names: Sequence[str] | None, what: str) -> None:
    """Refuse rows with a value that is not finite.

    Raises:
        ConfigurationError: naming the first such column.
    """
    broken = ~np.isfinite(rows)
    if broken.any():
        column = int(broken.any(axis=0).argmax())
        kind = "NaN" if np.isnan(rows[:, column]).any() else "infinity"
        count = int(broken[:, column].sum())
        raise ConfigurationError(
            f"{what}: {column_name(names, column)} contains {kind} ({count} rows): fill it in or leave those rows out"
        )


def check_varying(rows: Rows, names: Sequence[str] | None) -> None:
    """Refuse rows with a constant column, which has no z-scores and teaches nothing.

    Raises:
        ConfigurationError: naming the first such column.
    """
    constant = (rows == rows[:1]).all(axis=0)
    if len(rows) and constant.any():
        raise ConfigurationError(
            f"X: {column_name(names, int(constant.argmax()))} is constant: leave it out "
            "(sklearn.feature_selection.VarianceThreshold does)"
        )


def check_float32(rows: Rows, names: Sequence[str] | None) -> None:
    """Refuse rows with a column that float32, in which scikit-learn's trees compare, cannot hold.

    Raises:
        ConfigurationError: naming the first column that float32 rounds by more than :data:`MAX_ROUNDING` of its
            standard deviation, as it does with timestamps.
    """
    rounding = np.abs(rows.astype(np.float32) - rows).max(axis=0)
    lost = rounding > MAX_ROUNDING * rows.std(axis=0)
    varying = (rows != rows[:1]).any(axis=0)
    if (lost & varying).any():
        column = int((lost & varying).argmax())
        raise ConfigurationError(
            f"X: {column_name(names, column)} has values near {rows[0, column]:.0f}, which float32, in which trees "
            f"compare, rounds by up to {rounding[column]:.3g}: subtract its mean beforehand"
        )


def pooled_weights(weights: NDArray[np.float64] | None, synthetic: int) -> NDArray[np.float64] | None:
    """Weights of real rows and ``synthetic`` rows after them, each of which weighs as much as the mean real one.

    Example:
        >>> pooled_weights(np.array([1.0, 3.0]), 2)
        array([1., 3., 2., 2.])
    """
    return None if weights is None else np.concatenate([weights, np.full(synthetic, weights.mean())])


def sample_rows(
    synthesizer: SupportsSample,
    rows: Rows,
    labels: NDArray[np.int64],
    n: int,
    seed: int,
    names: Sequence[str] | None = None,
) -> Rows:
    """Draw synthetic rows.

    A :class:`~ganmc_lightning.synthesizers.Synthesizer` is copied and fitted to the z-scores of the real rows, and
    its samples are scaled back. Anything else is taken to be fitted, and to speak in the units of the data; it is
    drawn from with the global random generators of NumPy and PyTorch seeded.

    Args:
        synthesizer: where the rows come from.
        rows: the real rows (N, D), finite.
        labels: their classes, 0..K-1.
        n: how many to draw.
        seed: the same seed gives the same rows.
        names: names of the columns; a data frame that comes back is put in their order.

    Returns:
        float64 (n, D).

    Raises:
        ConfigurationError: a constant column, a synthesizer that is not fitted or refuses the rows, or samples of
            another shape or not finite.
    """
    # PyTorch is loaded when samples are drawn and not with this package: a plain forest needs none of it.
    from ganmc_lightning.synthesizers.base import Synthesizer

    if isinstance(synthesizer, Synthesizer):
        return _draw_from_package(synthesizer, rows, labels, n, seed, names)
    with _seeded(seed):
        try:
            drawn = synthesizer.sample(n)
        except NotFittedError as error:
            raise ConfigurationError(
                f"synthesizer: {type(synthesizer).__name__} is not fitted: fit it first"
            ) from error
    made = _as_array(drawn[0] if isinstance(drawn, tuple) else drawn, names)
    if made.shape != (n, rows.shape[1]):
        raise ConfigurationError(
            f"synthesizer: sample({n}) of {type(synthesizer).__name__} has shape {made.shape} where "
            f"({n}, {rows.shape[1]}) is due: it must make rows with the columns of X"
        )
    check_finite(made, names, f"synthesizer: samples of {type(synthesizer).__name__}")
    return made


def _draw_from_package(
    synthesizer: Any, rows: Rows, labels: NDArray[np.int64], n: int, seed: int, names: Sequence[str] | None
) -> Rows:
    import torch

    from ganmc_lightning.batch import DataSpec

    check_varying(rows, names)
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    synthesizer = copy.deepcopy(synthesizer)  # the caller's may be fitted to other data
    inputs = torch.from_numpy(((rows - mean) / std).astype(np.float32))
    spec = DataSpec((rows.shape[1],), int(labels.max()) + 1)
    synthesizer.fit(inputs, torch.from_numpy(labels), spec)
    with torch.no_grad():
        samples, _ = synthesizer.sample(n, torch.Generator().manual_seed(seed))
    made: Rows = samples.numpy().astype(np.float64) * std + mean
    check_finite(made, names, f"synthesizer: samples of {type(synthesizer).__name__}")
    return made


def _as_array(drawn: Any, names: Sequence[str] | None) -> Rows:
    import torch

    if isinstance(drawn, torch.Tensor):
        drawn = drawn.detach().cpu().numpy()
    elif names is not None and not isinstance(drawn, np.ndarray):
        try:
            drawn = drawn[list(names)]
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"synthesizer: its samples lack columns of X ({error})") from error
    try:
        return np.asarray(drawn, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"synthesizer: its samples are no numbers ({error}): encode their columns as X's are"
        ) from error


def settle(rows: Rows, categories: Sequence[tuple[int, int]]) -> Rows:
    """Make the greatest number of each one-hot block 1 and the others 0.

    Args:
        rows: (N, D).
        categories: first and last + 1 column of each block.

    Example:
        >>> settle(np.array([[7.5, 0.2, 0.9]]), [(1, 3)]).tolist()
        [[7.5, 0.0, 1.0]]
    """
    settled = rows.copy()
    for start, stop in categories:
        settled[:, start:stop] = np.eye(stop - start)[rows[:, start:stop].argmax(axis=1)]
    return settled


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators for a while: the only handle on a synthesizer that takes no seed."""
    import torch

    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
