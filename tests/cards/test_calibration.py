from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torchmetrics.functional.classification import multiclass_calibration_error

from ganmc_lightning.cards.calibration import calibration_error, fit_temperature, log_softmax, reliability_curve

RANDOM = torch.Generator().manual_seed(0)
LABELS = torch.randint(4, (500,), generator=RANDOM)
LOGITS = torch.randn(500, 4, generator=RANDOM).double() + 2 * torch.nn.functional.one_hot(LABELS, 4)


def test_error_equals_torchmetrics():
    probabilities = (3 * LOGITS).softmax(dim=1)
    expected = multiclass_calibration_error(probabilities, LABELS, num_classes=4, n_bins=15)
    actual = calibration_error(LABELS.numpy(), probabilities.numpy())
    assert actual == pytest.approx(float(expected), rel=1e-5, abs=1e-6)
    assert actual > 0.02


def test_curve_has_all_samples_of_its_bins():
    probabilities = LOGITS.softmax(dim=1).numpy()
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == LABELS.numpy()
    points = reliability_curve(LABELS.numpy(), probabilities)
    counts = np.bincount(np.minimum((10 * confidence).astype(int), 9), minlength=10)
    assert [point.samples for point in points] == counts[counts >= 10].tolist()
    for point in points:
        low = np.floor(10 * point.confidence) / 10
        chosen = (confidence >= low) & (confidence < low + 0.1)
        assert point.samples == chosen.sum() >= 10
        assert point.accuracy == pytest.approx(correct[chosen].mean(), rel=1e-9, abs=1e-10)


def test_temperature_minimizes_the_log_loss():
    logits = (3 * LOGITS).numpy()

    def log_loss(temperature):
        return float(torch.nn.functional.cross_entropy(torch.tensor(logits / temperature), LABELS))

    expected = minimize_scalar(log_loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-6}).x
    actual = fit_temperature(logits, LABELS.numpy())
    assert actual == pytest.approx(expected, rel=1e-4)
    assert log_loss(actual) < log_loss(1.0)


def test_temperature_of_scaled_logits_is_scaled():
    one = fit_temperature(LOGITS.numpy(), LABELS.numpy())
    assert fit_temperature(5 * LOGITS.numpy(), LABELS.numpy()) == pytest.approx(5 * one, rel=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_no_temperature_without_a_minimum(sign):
    """All samples are classified correctly, or the logits are the negative of useful ones."""
    logits = np.eye(3)[[0, 1, 2, 0]] * sign
    assert fit_temperature(logits, np.array([0, 1, 2, 0])) is None


def test_log_softmax_of_large_logits():
    logits = 1e4 * LOGITS
    np.testing.assert_allclose(log_softmax(logits.numpy(), 2.0), (logits / 2).log_softmax(dim=1), rtol=1e-9, atol=1e-10)
