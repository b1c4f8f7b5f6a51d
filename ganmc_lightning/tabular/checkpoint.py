"""Networks trained by ``ganmc fit`` on tabular data: a generator as synthesizer, a classifier as teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.student import ArgmaxClassifier

DATA_STATE = "GANAugmentedDataModule"
"""Key of the data module's state in a checkpoint."""
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
    return GeneratorSampler(generator, _load_scaler(path))


def load_tabular_classifier(path: str, submodule: str = "network") -> NetworkClassifier:
    """Load a classifier of tabular data from a checkpoint of ``ganmc fit``, for example as a teacher.

    Args:
        path: checkpoint of a classifier or a distillation.
        submodule: ``"network"`` of a classifier (default), ``"student"`` of a distillation.

    Raises:
        ConfigurationError: the checkpoint cannot be used, or was not trained on tabular data.
    """
    from ganmc_lightning.networks.loading import load_network

    return NetworkClassifier(load_network(path, submodule), _load_scaler(path))


def _load_scaler(path: str) -> Any:
    from ganmc_lightning.data.scaling import RowScaler
    from ganmc_lightning.networks.checkpoints import read_checkpoint

    state = read_checkpoint(path).get(DATA_STATE) or {}
    if not state.get("scaler"):
        raise ConfigurationError(f"{path}: contains no scaler, expected a checkpoint of `ganmc fit` on tabular data")
    return RowScaler.from_state_dict(state["scaler"])
