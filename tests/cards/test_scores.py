"""Scores of a card against scikit-learn, torchmetrics and SciPy."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from ganmc_lightning.cards.scores import to_array


def test_models_equal_references(card, results, labels):
    by_name = {result.name: result for result in results}
    assert [model.role for model in card.models] == ["teacher", "student", "baseline"]
    for model in card.models:
        probabilities = by_name[model.name].logits.double().softmax(dim=1)
        predicted = probabilities.argmax(dim=1)
        assert model.accuracy.value == pytest.approx(accuracy_score(labels, predicted), rel=1e-9, abs=1e-10)
        assert model.accuracy.low < model.accuracy.value < model.accuracy.high
        assert model.calibration.log_loss == pytest.approx(log_loss(labels, probabilities), rel=1e-5, abs=1e-6)
        expected = multiclass_calibration_error(probabilities, labels, num_classes=3, n_bins=15)
        assert model.calibration.error == pytest.approx(float(expected), rel=1e-5, abs=1e-6)


def test_scaled_calibration_is_that_of_divided_logits(card, results, labels):
    for model in card.models:
        (logits,) = (result.logits for result in results if result.name == model.name)
        expected = torch.nn.functional.cross_entropy(logits.double() / model.scaled.temperature, labels)
        assert model.scaled.log_loss == pytest.approx(float(expected), rel=1e-5, abs=1e-6)
        if model.role != "baseline":  # whose temperature is near 1
            assert model.scaled.log_loss < model.calibration.log_loss


def test_comparisons_with_the_teacher(card, results):
    teacher = next(result for result in results if result.role == "teacher").logits.double()
    student = next(result for result in results if result.role == "student").logits.double()
    expected = torch.nn.functional.kl_div(
        student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True
    )
    assert card.student.kl == pytest.approx(float(expected), rel=1e-5, abs=1e-6)
    agreement = (teacher.argmax(1) == student.argmax(1)).double().mean()
    assert card.student.agreement.value == pytest.approx(float(agreement), rel=1e-9, abs=1e-10)
    assert card.teacher.kl is card.teacher.agreement is card.student.student_minus is None


def test_differences_are_those_of_the_accuracies(card):
    for model in card.models:
        if model.role != "student":
            expected = card.student.accuracy.value - model.accuracy.value
            assert model.student_minus.value == pytest.approx(expected, rel=1e-9, abs=1e-10)
            assert model.student_minus.low < expected < model.student_minus.high


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int64])
def test_tensors_become_arrays(dtype):
    values = torch.tensor([1, 2], dtype=dtype)
    assert to_array(values).tolist() == [1, 2]
