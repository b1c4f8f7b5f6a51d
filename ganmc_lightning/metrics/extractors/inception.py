"""Inception-v3 with the weights used for published IS, FID and KID values."""

from __future__ import annotations

import pickle
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.archives import first_line
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features

RESIZE = "bilinear to 299x299 as in TensorFlow 1 (torch-fidelity), no antialiasing"


class InceptionV3Extractor(FeatureExtractor):
    """torch-fidelity's Inception-v3: 2,048 features after the last pooling layer, 1,008 logits without bias.

    Gray images are repeated to three channels. Published values used these weights, this resize and uint8 images.

    Args:
        weights: path of torch-fidelity's weights (default: downloaded once by torch-fidelity, 95 MB).

    Raises:
        ConfigurationError: the weights can neither be read nor downloaded.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__(_load(weights), "inception-v3", RESIZE, num_features=2048, num_classes=1008)

    def extract(self, samples: Tensor) -> Features:
        """Return features (N, 2048) and logits (N, 1008) of uint8 images with one channel or three."""
        if samples.ndim != 4 or samples.dtype != torch.uint8 or samples.shape[1] not in (1, 3):
            raise ConfigurationError(
                f"Inception-v3: got samples of shape {tuple(samples.shape[1:])}, expected uint8 images with 1 or 3 "
                "channels: use a classifier as extractor"
            )
        return Features(*self.network(samples.expand(-1, 3, -1, -1)))

    def settings(self) -> dict[str, str]:
        """Return extractor, digest, resize, and the conversion of gray images."""
        return {
            "extractor": f"{self.name} (torch-fidelity)",
            "extractor_digest": self.digest,
            "resize": RESIZE,
            "channels": "gray repeated to 3",
        }


def _load(weights: str | Path | None) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name
    advice = f"download {URL_INCEPTION_V3} to {cached}, or pass inception:PATH"
    if weights is not None and not Path(weights).is_file():
        raise ConfigurationError(f"{weights}: Inception-v3 weights not found: {advice}")
    file = Path(weights or cached)
    if file.is_file():
        try:
            torch.load(file, map_location="cpu", weights_only=True)  # torch-fidelity would execute code from the file
        except Exception as error:  # the unpickler raises arbitrary exceptions on invalid data
            raise ConfigurationError(
                f"{file}: cannot read weights ({first_line(error)}): remove the file; {advice}"
            ) from error
    path = None if weights is None else str(weights)
    try:
        network: nn.Module = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], path)
    except (RuntimeError, AttributeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigurationError(
            f"{weights or cached}: not the weights of torch-fidelity's Inception-v3 ({first_line(error)}): remove "
            f"the file; then {advice}"
        ) from error
    except (OSError, HTTPException) as error:  # no connection, unknown host, refused, interrupted, disk full
        raise ConfigurationError(f"cannot download the Inception-v3 weights ({first_line(error)}): {advice}") from error
    return network
