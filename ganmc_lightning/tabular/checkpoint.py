"""Networks trained by ``ganmc fit`` on rows, speaking in the units of the data: a GAN as synthesizer, a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import validate_data

from ganmc_lightning.exceptions import ConfigurationError

DATA_STATE = "GANAugmentedDataModule"
CHUNK = 4096


class GeneratorSampler:
    """A generator of rows with the scaler of the data it was trained on.

    Args:
        generator: a conditional or unconditional :class:`~ganmc_lightning.networks.Generator`.
        scaler: turns what it makes back into rows, with values that the columns can hold.
        class_shares: probability of each class, in the order of the labels; equal ones when left out.

    Raises:
        ConfigurationError: the shares are not one number a class that sum to 1.
    """

    def __init__(self, generator: Any, scaler: Any, class_shares: Sequence[float] | None = None) -> None:
        classes = generator.num_classes
        if class_shares is not None and classes:
            fair = len(class_shares) == classes and min(class_shares) >= 0 and abs(sum(class_shares) - 1) < 1e-6
            if not fair:
                raise ConfigurationError(
                    f"class_shares must be {classes} numbers that sum to 1, got {list(class_shares)}"
                )
        self.generator = generator
        self.scaler = scaler
        self.class_shares = [1 / classes] * classes if class_shares is None else list(class_shares)

    def sample(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw ``n`` rows with PyTorch's global random generator.

        Returns:
            Rows (n, D) in the units of the data, and the classes they were made for, -1 where the generator has none.
        """
        import torch

        latents = self.generator.sample_latents(n, "cpu")
        with torch.no_grad():
            if self.generator.num_classes:
                labels = torch.multinomial(torch.tensor(self.class_shares, dtype=torch.float64), n, replacement=True)
                pairs = zip(latents.split(CHUNK), labels.split(CHUNK), strict=True)
                rows = torch.cat([self.generator(*pair) for pair in pairs])
            else:
                labels = torch.full((n,), -1)
                rows = torch.cat([self.generator(part) for part in latents.split(CHUNK)])
        return self.scaler.decode(rows).numpy().astype(np.float64), labels.numpy()


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A trained network as a classifier of rows in their own units; it is fitted as it comes.

    Args:
        network: from scaled rows (N, D) to logits (N, K).
        scaler: of the data it was trained on.
    """

    def __init__(self, network: Any, scaler: Any) -> None:
        self.network = network
        self.scaler = scaler

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def n_features_in_(self) -> int:
        """Columns of a row."""
        return len(self.scaler.mean)

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The labels 0..K-1."""
        return np.arange(self.predict_proba(np.zeros((1, self.n_features_in_))).shape[1])

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities (N, K) of rows (N, D)."""
        import torch

        rows = torch.from_numpy(validate_data(self, X, dtype=np.float64, reset=False))
        with torch.no_grad():
            logits = torch.cat([self.network(part) for part in self.scaler.transform(rows).split(CHUNK)])
        probabilities: NDArray[np.float64] = logits.double().softmax(dim=1).numpy()
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The likeliest class (N,) of rows (N, D)."""
        likeliest: NDArray[np.int64] = self.predict_proba(X).argmax(axis=1)
        return likeliest


def load_synthesizer(
    path: str, part: str = "generator", class_shares: Sequence[float] | None = None
) -> GeneratorSampler:
    """Take the generator of rows out of a checkpoint of ``ganmc fit``.

    Args:
        path: a checkpoint of a GAN.
        part: name of the generator in its module.
        class_shares: probability of each class, in the order of the labels; equal ones when left out.

    Raises:
        ConfigurationError: the checkpoint cannot be used, or its generator does not make rows.
    """
    from ganmc_lightning.networks.loading import load_generator

    generator = load_generator(path, part)
    if len(generator.sample_shape) != 1:
        raise ConfigurationError(f"{path}: its generator makes samples of shape {generator.sample_shape}, not rows")
    return GeneratorSampler(generator, _scaler(path), class_shares)


def classifier_of_checkpoint(path: str, part: str = "network") -> NetworkClassifier:
    """Take a classifier of rows out of a checkpoint of ``ganmc fit``, to be compressed into a tree.

    Args:
        path: a checkpoint of a classifier or a distillation.
        part: ``"network"`` of a classifier, ``"student"`` of a distillation.

    Raises:
        ConfigurationError: the checkpoint cannot be used, or was not trained on rows.
    """
    from ganmc_lightning.networks.loading import load_network

    return NetworkClassifier(load_network(path, part), _scaler(path))


def _scaler(path: str) -> Any:
    from ganmc_lightning.data.scaling import RowScaler
    from ganmc_lightning.networks.loading import read_checkpoint

    state = read_checkpoint(path).get(DATA_STATE) or {}
    if not state.get("scaler"):
        raise ConfigurationError(f"{path} holds no scaler of rows: it was not written by `ganmc fit` on rows")
    return RowScaler.of_state(state["scaler"])
