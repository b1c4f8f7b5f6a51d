"""Networks trained by ``ganmc fit`` on tabular data: a generator as synthesizer, a classifier as teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.tabular.student import ArgmaxClassifier

DATA_STATE = "GANAugmentedDataModule"
"""Key of the data module's state in a checkpoint."""
DAMAGES = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""Errors of scalers and schemas from the values of a damaged checkpoint."""
CHUNK = 4096


class GeneratorSampler:
    """Sampler of a trained generator, in the units of the data.

    Args:
        generator: conditional or unconditional :class:`~ganmc_lightning.networks.Generator` of samples (D,).
        scaler: :class:`~ganmc_lightning.data.scaling.RowScaler` of the generator's training data.

    Example:
        >>> import torch
        >>> from ganmc_lightning.data.scaling import RowScaler
        >>> from ganmc_lightning.networks import TabularGenerator
        >>> scaler = RowScaler.fit(torch.tensor([[0.0, 5.0], [1.0, 9.0]]))
        >>> samples, labels = GeneratorSampler(TabularGenerator(2, num_classes=3), scaler).sample(4)
        >>> samples.shape, bool((labels < 3).all())
        ((4, 2), True)
    """

    def __init__(self, generator: Any, scaler: Any) -> None:
        self.generator = generator
        self.scaler = scaler

    def sample(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw ``n`` samples with PyTorch's global random generator, all classes equally likely.

        Returns:
            Samples (n, D) in the units of the data, and their conditioning labels (n,); -1 for an unconditional
            generator.
        """
        import torch

        classes = self.generator.num_classes
        latents = self.generator.sample_latents(n, "cpu")
        labels = torch.full((n,), -1)
        if classes:
            labels = torch.multinomial(torch.full((classes,), 1 / classes, dtype=torch.float64), n, replacement=True)
        with torch.no_grad():
            chunks = zip(latents.split(CHUNK), labels.split(CHUNK), strict=True)
            samples = torch.cat([self.generator(*chunk) if classes else self.generator(chunk[0]) for chunk in chunks])
        return self.scaler.inverse_transform(samples).numpy().astype(np.float64), labels.numpy()


class NetworkClassifier(ArgmaxClassifier):
    """Fitted scikit-learn classifier that predicts with a trained network.

    Args:
        network: module from scaled samples (N, D) to logits (N, K).
        scaler: :class:`~ganmc_lightning.data.scaling.RowScaler` of the network's training data.

    Attributes:
        classes_: labels 0..K-1.
        n_features_in_: number of features D.

    Example:
        >>> import torch
        >>> from ganmc_lightning.data.scaling import RowScaler
        >>> scaler = RowScaler.fit(torch.tensor([[0.0, 5.0], [2.0, 9.0]]))
        >>> classifier = NetworkClassifier(torch.nn.Identity(), scaler)  # logits: the z-scores 1 and -1
        >>> classifier.predict_proba([[2.0, 5.0]]).round(2).tolist()
        [[0.88, 0.12]]
    """

    def __init__(self, network: Any, scaler: Any) -> None:
        self.network = network
        self.scaler = scaler

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return len(self.scaler.mean)

    @property
    def classes_(self) -> NDArray[np.int64]:
        """Labels 0..K-1."""
        return np.arange(self.predict_proba(np.zeros((1, self.n_features_in_))).shape[1])

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict class probabilities (N, K) of samples (N, D)."""
        import torch

        samples = torch.from_numpy(validate_data(self, X, dtype=np.float64, reset=False))
        with torch.no_grad():
            logits = torch.cat([self.network(chunk) for chunk in self.scaler.transform(samples).split(CHUNK)])
        probabilities: NDArray[np.float64] = logits.double().softmax(dim=1).numpy()
        return probabilities


def load_synthesizer(path: str, submodule: str = "generator") -> GeneratorSampler:
    """Load the generator of a tabular GAN from a checkpoint of ``ganmc fit``.

    Args:
        path: checkpoint of a GAN.
        submodule: name of the generator in its module (default: ``"generator"``).

    Raises:
        ConfigurationError: the checkpoint cannot be used, or its generator does not generate samples of shape (D,).
    """
    from ganmc_lightning.networks.loading import load_generator

    generator = load_generator(path, submodule)
    if len(generator.sample_shape) != 1:
        raise ConfigurationError(f"{path}: generates samples of shape {generator.sample_shape}, expected shape (D,)")
    return GeneratorSampler(generator, _load_scaler(path, generator.sample_shape))


def load_tabular_classifier(path: str, submodule: str = "network") -> NetworkClassifier:
    """Load a classifier of tabular data from a checkpoint of ``ganmc fit``, for example as a teacher.

    Args:
        path: checkpoint of a classifier or a distillation.
        submodule: ``"network"`` of a classifier (default), ``"student"`` of a distillation.

    Raises:
        ConfigurationError: the checkpoint cannot be used, or was not trained on tabular data.
    """
    from ganmc_lightning.networks.loading import load_network
    from ganmc_lightning.networks.training_data import get_training_data

    network = load_network(path, submodule)
    spec = get_training_data(network)
    return NetworkClassifier(network, _load_scaler(path, None if spec is None else spec.sample_shape))


def _load_scaler(path: str, sample_shape: tuple[int, ...] | None) -> Any:
    from ganmc_lightning.networks.checkpoints import read_checkpoint

    scaler = scaler_of(read_checkpoint(path), path, None if sample_shape is None else sample_shape[0])
    if scaler is None:
        raise ConfigurationError(f"{path}: contains no scaler, expected a checkpoint of `ganmc fit` on tabular data")
    return scaler


def scaler_of(checkpoint: Mapping[str, Any], path: str, num_features: int | None) -> Any:
    """Return the scaler of the table that a checkpoint's data module was fitted to.

    Args:
        checkpoint: contents of the checkpoint.
        path: path of the checkpoint, for error messages.
        num_features: number of features of the network; None if unknown.

    Returns:
        A :class:`~ganmc_lightning.data.scaling.RowScaler`; None if the run was not trained on tabular data.

    Raises:
        ConfigurationError: the scaler is damaged, or has another number of columns.
    """
    import torch

    from ganmc_lightning.data.scaling import RowScaler

    try:
        state = (checkpoint.get(DATA_STATE) or {}).get("scaler")
        if not state:
            return None
        scaler = RowScaler.from_state_dict(state)
        (width,) = scaler.mean.shape
        if num_features not in (None, width):
            raise ValueError(f"got a scaler of {width} columns, expected {num_features}")
        if not all(bool(values.isfinite().all()) for values in (scaler.mean, scaler.std, *scaler.quantiles)):
            raise ValueError("got a scaler with NaN or infinite values")
        rows = scaler.inverse_transform(scaler.transform(torch.zeros(1, width)))  # raises if shapes or types differ
        if rows.shape != (1, width):
            raise ValueError(f"got a scaler that returns rows of shape {tuple(rows.shape)}, expected {(1, width)}")
    except DAMAGES as error:
        raise damaged_state(path, error) from error
    return scaler


def damaged_state(path: str, error: Exception) -> ConfigurationError:
    """Return the error of a checkpoint in which the state of the data module is damaged."""
    return ConfigurationError(f"{path}: '{DATA_STATE}' is damaged ({type(error).__name__}: {one_line(error)})")
