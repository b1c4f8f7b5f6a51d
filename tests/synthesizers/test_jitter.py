from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare, kstest, norm

from ganmc_lightning.batch import DataSpec, to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer

ROWS = 10 * torch.arange(20, dtype=torch.float32).view(20, 1) + torch.tensor([0.0, 1.0, 2.0])
LABELS = torch.tensor([0] * 5 + [1] * 15)


def fitted(inputs=ROWS, labels=LABELS, noise_std=0.1):
    synthesizer = JitterSynthesizer(noise_std)
    synthesizer.fit(inputs, labels, DataSpec(tuple(inputs.shape[1:]), 2))
    return synthesizer


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_noise_on_real_rows_with_their_labels():
    samples, labels = fitted(noise_std=0.25).sample(3000, seeded(0))
    nearest = (samples.mean(dim=1, keepdim=True) / 10 - 0.1).round().long().flatten()  # rows lie 40 deviations apart
    assert torch.equal(labels, LABELS[nearest])
    assert kstest((samples - ROWS[nearest]).flatten(), norm(0, 0.25).cdf).pvalue > 0.01
    assert chisquare(nearest.bincount(minlength=20)).pvalue > 0.01


def test_no_noise_gives_real_samples():
    samples, _ = fitted(noise_std=0).sample(50, seeded(0))
    assert (samples[:, None] == ROWS[None]).all(dim=2).any(dim=1).all()


def test_images_are_decoded_and_clamped():
    images = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 4, 4).clone()
    before = images.clone()
    samples, labels = fitted(images, torch.tensor([0, 1, 1]), noise_std=0.5).sample(400, seeded(0))
    assert samples.dtype == torch.float32
    assert samples.shape == (400, 1, 4, 4)
    assert samples.min() == -1
    assert samples.max() == 1
    middle = samples[labels == 1]
    assert ((middle > -0.9) & (middle < 0.9)).any()
    assert torch.equal(images, before)
    clean, _ = fitted(images, torch.tensor([0, 1, 1]), noise_std=0).sample(30, seeded(0))
    assert set(clean.unique().tolist()) == set(to_float_images(before).unique().tolist())


def test_the_real_rows_stay_as_they_were():
    before = ROWS.clone()
    fitted().sample(100)
    assert torch.equal(ROWS, before)


def test_seeds():
    synthesizer = fitted()
    first, again, other = (synthesizer.sample(20, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_samples_in_memory():
    with pytest.raises(ConfigurationError, match="JitterSynthesizer: got data read from files"):
        JitterSynthesizer().fit(None, LABELS, DataSpec((3,), 2))


def test_negative_noise():
    with pytest.raises(ConfigurationError, match=r"JitterSynthesizer\.noise_std: got -0\.1, expected at least 0"):
        JitterSynthesizer(-0.1)


def test_not_fitted():
    with pytest.raises(ConfigurationError, match="JitterSynthesizer: not fitted"):
        JitterSynthesizer().sample(1)
