from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import FilteredSynthesizer, PooledSynthesizer, Synthesizer
from ganmc_lightning.synthesizers.filtered import CALIBRATION_SAMPLES, CALIBRATION_SEED

SPEC = DataSpec((3,), 3)
LABELS = torch.tensor([0] * 10 + [1] * 30 + [2] * 60)


class Noisy(Synthesizer):
    """Samples equal their teacher logits; the largest is 0 to 4 above the others, of the correct or another class."""

    def __init__(self, wrong=(0.2, 0.4, 0.6)):
        self.wrong = torch.tensor(wrong)
        self.labels = None
        self.drawn = 0

    def fit(self, inputs, labels, spec):
        self.labels, self.num_classes = labels, spec.num_classes

    def sample(self, n, generator=None):
        self.drawn += n
        labels = self.labels[torch.randint(len(self.labels), (n,), generator=generator)]
        wrong = torch.rand(n, generator=generator) < self.wrong[labels]
        shown = torch.where(wrong, (labels + 1) % self.num_classes, labels)
        lead = 4 * torch.rand(n, 1, generator=generator) + 1e-3
        return nn.functional.one_hot(shown, self.num_classes) * lead, labels


class Tempered(nn.Module):
    """A teacher that predicts class 0 in training mode."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, inputs):
        return inputs if not self.training else self.norm(inputs) * 0


def fitted(synthesizer=None, labels=LABELS, spec=SPEC, teacher=None, **settings):
    made = FilteredSynthesizer(synthesizer or Noisy(), teacher or nn.Identity(), **settings)
    made.fit(None, labels, spec)
    return made


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def thresholds(quantile, draw):
    """The same in numpy: quantiles of the confidence over the confirmed samples of each class."""
    samples, labels = (part.numpy() for part in draw)
    confidence = softmax(samples, axis=1).max(axis=1)
    confirmed = samples.argmax(axis=1) == labels
    return np.array([np.quantile(confidence[confirmed & (labels == k)], quantile) for k in range(3)])


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.9])
def test_only_confirmed_samples_above_their_threshold(quantile):
    inner = Noisy()
    filtered = fitted(inner, confidence_quantile=quantile)
    limit = thresholds(quantile, inner.sample(CALIBRATION_SAMPLES, seeded(CALIBRATION_SEED)))
    samples, labels = filtered.sample(700, seeded(1))
    assert samples.shape == (700, 3)
    assert torch.equal(samples.argmax(dim=1), labels)
    confidence = softmax(samples.numpy(), axis=1).max(axis=1)
    assert (confidence >= limit[labels.numpy()] - 1e-6).all()
    lowest = np.array([confidence[labels.numpy() == k].min() for k in range(3)])
    assert (lowest < limit + 0.1).all()  # and the limit is not set higher than it must be


def test_thresholds_differ_by_class():
    """Thresholds are per class: a class of low confidence keeps its samples."""

    class Uneven(Noisy):
        def sample(self, n, generator=None):
            samples, labels = super().sample(n, generator)
            return samples * torch.tensor([1.0, 0.5, 0.1])[labels, None], labels

    inner = Uneven()
    filtered = fitted(inner, confidence_quantile=0.5)
    samples, labels = filtered.sample(500, seeded(0))
    confidence = samples.softmax(dim=1).amax(dim=1)
    assert confidence[labels == 2].max() < confidence[labels == 0].min()


def test_every_class_keeps_its_share_of_each_draw():
    """Labels are those of the wrapped synthesizer, even if the teacher rejects classes unequally."""
    filtered, plain = fitted(), Noisy()
    plain.fit(None, LABELS, SPEC)
    for seed in range(5):
        _, labels = filtered.sample(64, seeded(seed))
        _, due = plain.sample(64, seeded(seed))
        assert torch.equal(labels, due)


def test_accepted_samples_of_the_first_draw_stay():
    filtered, plain = fitted(confidence_quantile=0.0), Noisy()
    plain.fit(None, LABELS, SPEC)
    samples, _ = filtered.sample(300, seeded(3))
    first, _ = plain.sample(300, seeded(3))
    kept = (samples == first).all(dim=1).float().mean()
    assert 0.3 < kept < 0.7  # about half of them are shown in the right class


def test_no_sample_twice():
    samples, _ = fitted().sample(2000, seeded(0))
    assert len(torch.unique(samples, dim=0)) == 2000


@pytest.mark.parametrize("n", [0, 1, 1500])
def test_as_many_as_asked(n):
    samples, labels = fitted().sample(n, seeded(0))
    assert len(samples) == len(labels) == n


def test_seeds():
    filtered = fitted()
    first, again, other = (filtered.sample(40, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_calibration_needs_no_global_randomness():
    before = torch.get_rng_state()
    fitted().sample(40, seeded(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_teacher_is_frozen():
    teacher = Tempered().train()
    filtered = fitted(teacher=teacher)
    samples, labels = filtered.sample(100, seeded(0))
    assert torch.equal(samples.argmax(dim=1), labels)
    assert teacher.norm.num_batches_tracked == 0


def test_many_classes():
    """Each rejected sample requires a candidate of a class with a share of 1 %."""
    inner = Noisy(wrong=[0.3] * 100)
    filtered = fitted(inner, torch.arange(100), DataSpec((100,), 100))
    inner.drawn = 0
    for seed in range(20):
        samples, labels = filtered.sample(64, seeded(seed))
        assert torch.equal(samples.argmax(dim=1), labels)
    assert inner.drawn / 20 < 2000  # and no more than they must


def test_classes_that_are_not_there():
    _, labels = fitted(labels=LABELS[LABELS != 1]).sample(200, seeded(0))
    assert set(labels.tolist()) == {0, 2}


def test_hopeless_class():
    with pytest.raises(ConfigurationError, match=r"predicts none of \d+ synthetic samples of class 2 correctly"):
        fitted(Noisy(wrong=(0.1, 0.1, 1.0)))


def test_reserve_replaces_classes_without_accepted_candidates():
    """Samples of the calibration draw are returned, which are accepted too; class shares stay equal."""
    inner = Noisy()
    filtered = fitted(inner)
    drawn, _ = inner.sample(CALIBRATION_SAMPLES, seeded(CALIBRATION_SEED))
    inner.wrong = torch.tensor([0.1, 1.0, 1.0])
    samples, labels = filtered.sample(300, seeded(0))
    assert torch.equal(labels, inner.sample(300, seeded(0))[1])
    assert torch.equal(samples.argmax(dim=1), labels)
    repeated = (samples[:, None] == drawn).all(dim=2).any(dim=1)
    assert torch.equal(repeated, labels > 0)
    assert len(torch.unique(samples[labels == 2], dim=0)) > 20  # not a single one


@pytest.mark.parametrize(("n", "classes"), [(64, 3), (64, 30), (7, 3)])
def test_share_of_the_reserve(n, classes):
    """Repeated samples are those of the reserve: at most about 1 %, with few candidates."""
    inner = Noisy(wrong=[0.4] * classes)
    filtered = fitted(inner, torch.arange(classes), DataSpec((classes,), classes), confidence_quantile=0.5)
    drawn, _ = inner.sample(CALIBRATION_SAMPLES, seeded(CALIBRATION_SEED))
    samples = torch.cat([filtered.sample(n, seeded(seed))[0] for seed in range(1, 60)])
    repeated = torch.isin(samples.amax(dim=1), drawn.amax(dim=1))  # the largest logit identifies a sample
    assert repeated.float().mean() < 0.015
    inner.drawn = 0
    filtered.sample(n, seeded(0))
    assert inner.drawn < 40 * n + 1000


def test_class_that_the_calibration_draw_did_not_contain():
    inner = Noisy()
    filtered = fitted(inner, labels=LABELS[LABELS != 1])
    inner.labels = LABELS
    inner.wrong = torch.tensor([0.0, 1.0, 0.0])
    samples, labels = filtered.sample(100, seeded(0))
    first, _ = inner.sample(100, seeded(0))
    assert torch.equal(samples[labels == 1], first[labels == 1])


def test_samples_without_a_confidence_are_rejected():
    """Some logits of a teacher are NaN, e.g. after an overflow in half precision."""

    class Overflow(nn.Module):
        def forward(self, inputs):
            return inputs.masked_fill(inputs.amax(dim=1, keepdim=True) > 3.5, torch.nan)

    filtered = fitted(teacher=Overflow())
    samples, labels = filtered.sample(300, seeded(0))
    assert samples.amax() <= 3.5
    assert torch.equal(samples.argmax(dim=1), labels)


def test_unknown_classes():
    class Unconditional(Noisy):
        def sample(self, n, generator=None):
            samples, labels = super().sample(n, generator)
            return samples, torch.full_like(labels, UNKNOWN_LABEL)

    with pytest.raises(ConfigurationError, match="got samples without labels, expected labeled samples"):
        fitted(Unconditional())


@pytest.mark.parametrize("quantile", [-0.1, 1.0])
def test_quantile_out_of_range(quantile):
    with pytest.raises(ConfigurationError, match=rf"confidence_quantile: got {quantile}, expected a value in \[0, 1\)"):
        FilteredSynthesizer(Noisy(), nn.Identity(), quantile)


def test_not_fitted():
    with pytest.raises(ConfigurationError, match="FilteredSynthesizer: not fitted"):
        FilteredSynthesizer(Noisy(), nn.Identity()).sample(1)


def test_a_pool_is_outside_of_the_filter():
    with pytest.raises(ConfigurationError, match=r"expected the filter inside the pool"):
        FilteredSynthesizer(PooledSynthesizer(Noisy(), size=10), nn.Identity())


def test_teacher_in_half_precision():
    """A teacher that is also a network of the module has the precision of its weights."""
    teacher = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        teacher.weight.copy_(torch.eye(3))
    synthesizer = fitted(teacher=teacher)
    teacher.to(torch.bfloat16)
    samples, labels = synthesizer.sample(50, seeded(0))
    assert samples.dtype == torch.float32
    assert torch.equal(samples.argmax(dim=1), labels)
