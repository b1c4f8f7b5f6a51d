from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare, kstest, norm
from torch import nn

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec, Statistics
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import ACGANGenerator, Generator
from ganmc_lightning.networks.training_data import set_training_data
from ganmc_lightning.synthesizers import GeneratorSynthesizer
from ganmc_lightning.synthesizers.generator import _CHUNK as CHUNK

SPEC = DataSpec((4,), 3)
LABELS = torch.tensor([0] * 10 + [1] * 30 + [2] * 60)


class Telltale(Generator):
    """Samples are latents and class."""

    def __init__(self, num_classes=3, latent_std=1.0):
        super().__init__(3, num_classes, (4,), latent_std)
        self.dropout = nn.Dropout(0.5)

    def forward(self, latents, labels=None):
        assert len(latents) <= CHUNK
        extra = torch.full((len(latents), 1), 99.0) if labels is None else labels.view(-1, 1).float()
        return torch.cat([self.dropout(latents), extra], dim=1)


def fitted(generator, labels=LABELS, spec=SPEC):
    synthesizer = GeneratorSynthesizer(generator)
    synthesizer.fit(None, labels, spec)
    return synthesizer


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n", [0, 1, CHUNK, 2 * CHUNK + 7])
def test_as_many_as_asked(n):
    samples, labels = fitted(Telltale()).sample(n, seeded(0))
    assert samples.shape == (n, 4)
    assert labels.shape == (n,)
    assert labels.dtype == torch.int64
    assert len(torch.unique(samples, dim=0)) == n  # none is given twice


def test_labels_are_those_generated_for():
    samples, labels = fitted(Telltale()).sample(2 * CHUNK + 7, seeded(0))
    assert torch.equal(samples[:, 3].long(), labels)


def test_classes_follow_the_real_ones():
    _, labels = fitted(Telltale()).sample(5000, seeded(0))
    assert chisquare(labels.bincount(minlength=3), [500, 1500, 3000]).pvalue > 0.01


def test_absent_classes_stay_absent():
    _, labels = fitted(Telltale(), LABELS[LABELS != 1]).sample(500, seeded(0))
    assert set(labels.tolist()) == {0, 2}


def test_noise_has_the_generators_law():
    samples, _ = fitted(Telltale(latent_std=0.5)).sample(2000, seeded(0))
    assert kstest(samples[:, :3].flatten(), norm(0, 0.5).cdf).pvalue > 0.01


def test_evaluation_mode_and_no_graph():
    generator = Telltale().train()
    samples, _ = fitted(generator).sample(200)
    assert (samples[:, :3] != 0).all()  # dropout is off
    assert not generator.training
    images, _ = fitted(ACGANGenerator(8, 1, 3, 4, 2), spec=DataSpec((1, 8, 8), 3)).sample(5)
    assert not images.requires_grad


def test_one_sample_does_not_depend_on_the_others():
    """In training mode, batch statistics would make samples dependent."""
    torch.manual_seed(0)
    generator = ACGANGenerator(8, 1, 3, 4, 2)
    synthesizer = fitted(generator, spec=DataSpec((1, 8, 8), 3))
    images, labels = synthesizer.sample(6, seeded(1))
    latents = generator.sample_latents(6, "cpu", seeded(1))
    for k in range(6):
        assert torch.allclose(generator(latents[k : k + 1], labels[k : k + 1]), images[k : k + 1], rtol=1e-5, atol=1e-5)


def test_seeds():
    synthesizer = fitted(Telltale())
    first, again, other = (synthesizer.sample(50, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[1], other[1])


def test_random_generator_argument_keeps_the_global_state():
    before = torch.get_rng_state()
    fitted(Telltale()).sample(10, seeded(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_unconditional():
    samples, labels = fitted(Telltale(num_classes=0)).sample(CHUNK + 5, seeded(0))
    assert (samples[:, 3] == 99).all()  # called without labels
    assert labels.dtype == torch.int64
    assert (labels == UNKNOWN_LABEL).all()
    assert len(labels) == CHUNK + 5


def test_not_fitted():
    with pytest.raises(ConfigurationError, match=r"^GeneratorSynthesizer: not fitted"):
        GeneratorSynthesizer(Telltale()).sample(1)


def test_shape_of_other_data():
    with pytest.raises(ConfigurationError, match=r"got samples of shape \(4,\), expected \(3, 2, 2\)"):
        fitted(Telltale(), spec=DataSpec((3, 2, 2), 3))


@pytest.mark.parametrize("num_classes", [2, 10])
def test_classes_of_other_data(num_classes):
    with pytest.raises(ConfigurationError, match=rf"got {num_classes} classes, expected 3"):
        fitted(Telltale(num_classes))


def rows(mean, std, *curves, names=()):
    values = (torch.tensor(value, dtype=torch.float64) for value in (mean, std))
    return DataSpec((4,), 3, names, Statistics(*values, curves))


def test_rows_of_a_generator_of_other_statistics_are_rescaled():
    """The rows are equal in the units of the table."""
    its, due = rows([1.0, 2.0, 3.0, 0.0], [1.0, 2.0, 0.5, 1.0]), rows([1.1, 1.5, 3.2, 0.3], [1.2, 1.6, 0.6, 0.9])
    generator = Telltale()
    plain, labels = fitted(generator, spec=its).sample(50, seeded(0))
    set_training_data(generator, its)
    unchanged, _ = fitted(generator, spec=its).sample(50, seeded(0))
    assert torch.equal(unchanged, plain)
    samples, same_labels = fitted(generator, spec=due).sample(50, seeded(0))
    assert torch.equal(same_labels, labels)
    own_units = [
        rows.double() * spec.statistics.std + spec.statistics.mean for rows, spec in ((plain, its), (samples, due))
    ]
    torch.testing.assert_close(own_units[0], own_units[1], rtol=1e-5, atol=1e-5)


def test_a_generator_of_other_classes_or_scores_raises():
    curve = torch.tensor([[0.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)
    mean, std = [0.0] * 4, [1.0] * 4
    generator = Telltale()
    set_training_data(generator, rows(mean, std, *[curve] * 4, names=("a", "b", "c")))
    with pytest.raises(ConfigurationError, match=r"data\.synthesizer: trained with data\.quantile_transform true"):
        fitted(generator, spec=rows(mean, std))
    with pytest.raises(ConfigurationError, match=r"data\.synthesizer: class 1 of its training data is 'b'"):
        fitted(generator, spec=rows(mean, std, *[curve] * 4, names=("a", "c", "b")))
