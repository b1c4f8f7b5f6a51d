from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare, kstest

from ganmc_lightning.batch import DataSpec, to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import MixupSynthesizer

LABELS = torch.tensor([0, 1, 1, 0])


def fitted(inputs):
    synthesizer = MixupSynthesizer()
    synthesizer.fit(inputs, LABELS, DataSpec(tuple(inputs.shape[1:]), 2))
    return synthesizer


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_uniform_points_between_uniform_pairs():
    samples, labels = fitted(torch.eye(4)).sample(4000, seeded(0))
    assert torch.allclose(samples.sum(dim=1), torch.ones(4000))
    assert ((samples > 0).sum(dim=1) <= 2).all()
    assert (labels == -1).all()
    mixed = samples[(samples > 0).sum(dim=1) == 2]
    first = (mixed > 0).int().argmax(dim=1)
    weights = mixed.gather(1, first[:, None]).flatten()
    assert kstest(weights, "uniform").pvalue > 0.01
    pairs = torch.bincount((4 ** torch.arange(4) * (mixed > 0)).sum(dim=1))
    counts = pairs[pairs > 0]
    assert len(counts) == 6
    assert chisquare(counts).pvalue > 0.01
    assert abs(len(mixed) / 4000 - 3 / 4) < 0.03  # a pair has equal members with probability 1/4


def test_images_are_decoded():
    images = torch.tensor([0, 255, 255, 0], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 2, 2).clone()
    before = images.clone()
    samples, _ = fitted(images).sample(500, seeded(1))
    assert samples.shape == (500, 3, 2, 2)
    assert samples.dtype == torch.float32
    assert samples.min() == -1
    assert samples.max() == 1
    assert ((samples > -0.5) & (samples < 0.5)).any()
    assert (samples == samples[:, :1, :1, :1]).all()  # one weight per image
    assert torch.equal(images, before)
    assert to_float_images(before).abs().eq(1).all()


def test_seeds():
    synthesizer = fitted(torch.randn(4, 3, generator=seeded(3)))
    first, again, other = (synthesizer.sample(20, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_samples_in_memory():
    with pytest.raises(ConfigurationError, match="MixupSynthesizer: got data read from files"):
        MixupSynthesizer().fit(None, LABELS, DataSpec((3,), 2))


def test_not_fitted():
    with pytest.raises(ConfigurationError, match="MixupSynthesizer: not fitted"):
        MixupSynthesizer().sample(1)
