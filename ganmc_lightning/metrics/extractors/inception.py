"""Inception-v3 with the weights that published IS, FID and KID are computed with."""

from __future__ import annotations

import pickle
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features

RESIZE = "bilinear to 299x299 as TensorFlow 1 does (torch-fidelity), no antialiasing"


class InceptionV3Extractor(FeatureExtractor):
    """torch-fidelity's Inception-v3: 2,048 features after the last pool, 1,008 logits without bias.

    Grey images are repeated to three channels. Published numbers used these weights, this resize and uint8 images.

    Args:
        weights: torch-fidelity's file of weights; without it torch-fidelity downloads it (95 MB) and keeps it.

    Raises:
        ConfigurationError: the weights can neither be read nor downloaded.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__(_load(weights), "inception-v3", RESIZE, num_features=2048, num_classes=1008)

    def extract(self, samples: Tensor) -> Features:
        """Return features (N, 2048) and logits (N, 1008) of uint8 images with one channel or three."""
        if samples.ndim != 4 or samples.dtype != torch.uint8 or samples.shape[1] not in (1, 3):
            raise ConfigurationError(
                f"Inception-v3 takes images with 1 or 3 channels, not samples of shape {tuple(samples.shape[1:])}: "
                "use a classifier as extractor"
            )
        return Features(*self.network(samples.expand(-1, 3, -1, -1)))

    def settings(self) -> dict[str, str]:
        """Extractor, digest, resize, and what becomes of gray images."""
        return {
            "extractor": f"{self.name} (torch-fidelity)",
            "extractor_digest": self.digest,
            "resize": RESIZE,
            "channels": "gray repeated to 3",
        }


def _load(weights: str | Path | None) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

    kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name
    advice = f"download {URL_INCEPTION_V3} to {kept}, or name your copy with inception:PATH"
    if weights is not None and not Path(weights).is_file():
        raise ConfigurationError(f"no Inception-v3 weights at {weights}: {advice}")
    file = Path(weights or kept)
    if file.is_file():
        try:
            torch.load(file, map_location="cpu", weights_only=True)  # torch-fidelity would run code from the file
        except Exception as error:  # on bytes that are no weights the unpickler raises whatever it comes across
            raise ConfigurationError(
                f"{file} cannot be read as weights ({_first_line(error)}): remove it; {advice}"
            ) from error
    path = None if weights is None else str(weights)
    try:
        network: nn.Module = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], path)
    except (RuntimeError, AttributeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigurationError(
            f"{weights or kept} holds no weights of torch-fidelity's Inception-v3 ({_first_line(error)}): remove it; "
            f"then {advice}"
        ) from error
    except (OSError, HTTPException) as error:  # no network, no such host, refused, cut off, disk full
        raise ConfigurationError(
            f"the Inception-v3 weights cannot be downloaded ({_first_line(error)}): {advice}"
        ) from error
    return network


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
