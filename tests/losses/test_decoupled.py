from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses import DecoupledKnowledgeDistillationLoss, decoupled_divergences

LABELS = torch.tensor([0, 4, 2, 1, 3, 3])
SYNTHETIC = torch.tensor([False, True, True, False, False, True])


@pytest.fixture
def logits():
    """Student and teacher logits."""
    random = torch.Generator().manual_seed(0)
    student = (2 * torch.randn(6, 5, generator=random, dtype=torch.float64)).requires_grad_()
    return student, 3 * torch.randn(6, 5, generator=random, dtype=torch.float64)


def divergence(p, q):
    return np.sum(p * np.log(p / q))


def reference(student, teacher, targets, temperature):
    """TCKD and NCKD as printed in Zhao et al. 2022, section 3.1: b = (p_t, 1 - p_t) and p-hat without the target."""
    result = []
    for g, z, t in zip(student.detach().numpy(), teacher.numpy(), targets.tolist(), strict=True):
        p_student, p_teacher = softmax(g / temperature), softmax(z / temperature)
        binary = [np.array([p[t], 1 - p[t]]) for p in (p_teacher, p_student)]
        others = [np.delete(p, t) / np.delete(p, t).sum() for p in (p_teacher, p_student)]
        result.append((divergence(*binary), divergence(*others)))
    return np.transpose(result)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergences_against_numpy(logits, temperature):
    found = torch.stack(decoupled_divergences(*logits, LABELS, temperature)).detach().numpy()
    np.testing.assert_allclose(found, reference(*logits, LABELS, temperature), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_reduces_to_ordinary_divergence(logits, temperature):
    """KL = TCKD + (1 - p_t) NCKD for every sample (equation 6)."""
    student, teacher = logits
    target_class, other_classes = decoupled_divergences(student, teacher, LABELS, temperature)
    p = softmax(teacher.numpy() / temperature, axis=1)
    q = softmax(student.detach().numpy() / temperature, axis=1)
    coupled = target_class.detach().numpy() + (1 - p[np.arange(6), LABELS]) * other_classes.detach().numpy()
    np.testing.assert_allclose(coupled, (p * np.log(p / q)).sum(axis=1), rtol=1e-9, atol=1e-10)


def test_equation_7(logits):
    student, teacher = logits
    target_class, other_classes = reference(student, teacher, LABELS, 3.0).mean(axis=1)
    hard = -np.mean(log_softmax(student.detach().numpy(), axis=1)[np.arange(6), LABELS])
    loss = DecoupledKnowledgeDistillationLoss(0.5, 2.0, 3.0, hard_weight=0.7)(student, teacher, LABELS, SYNTHETIC)
    assert loss.total.item() == pytest.approx(9 * (0.5 * target_class + 2 * other_classes) + 0.7 * hard, rel=1e-9)
    parts = (loss.target_class.item(), loss.other_classes.item(), loss.hard.item())
    assert parts == pytest.approx((target_class, other_classes, hard), rel=1e-9)


def test_zero_where_student_and_teacher_agree(logits):
    _, teacher = logits
    student = (teacher + 5).requires_grad_()
    loss = DecoupledKnowledgeDistillationLoss(hard_weight=0.0)(student, teacher, LABELS, SYNTHETIC).total
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert torch.allclose(gradient, torch.zeros(6, 5, dtype=torch.float64), atol=1e-12)


def test_unknown_labels_have_the_teachers_class_as_target(logits):
    student, teacher = logits
    labels = LABELS.clone()
    labels[[1, 4]] = UNKNOWN_LABEL
    targets = LABELS.clone()
    targets[[1, 4]] = teacher.argmax(dim=1)[[1, 4]]
    assert not torch.equal(targets, LABELS)
    loss = DecoupledKnowledgeDistillationLoss()
    found, expected = loss(student, teacher, labels, SYNTHETIC), loss(student, teacher, targets, SYNTHETIC)
    assert found.target_class.item() == expected.target_class.item()
    assert found.other_classes.item() == expected.other_classes.item()
    known = [0, 2, 3, 5]
    hard = -np.mean(log_softmax(student.detach().numpy(), axis=1)[known, LABELS[known]])
    assert found.hard.item() == pytest.approx(hard, rel=1e-9)


def test_ignored_synthetic_labels(logits):
    before = LABELS.clone()
    ignored = DecoupledKnowledgeDistillationLoss(hard_loss_on_synthetic=False)(*logits, LABELS, SYNTHETIC)
    hidden = LABELS.masked_fill(SYNTHETIC, UNKNOWN_LABEL)
    assert ignored == DecoupledKnowledgeDistillationLoss()(*logits, hidden, SYNTHETIC)
    assert ignored != DecoupledKnowledgeDistillationLoss()(*logits, LABELS, SYNTHETIC)
    assert torch.equal(LABELS, before)  # the batch must not be modified


def test_weights_repeat_samples(logits):
    loss, counts = DecoupledKnowledgeDistillationLoss(), torch.tensor([1, 2, 0, 1, 0, 2])  # 1 on average
    repeated = [tensor.repeat_interleave(counts, dim=0) for tensor in (*logits, LABELS, SYNTHETIC)]
    assert loss.takes_weights
    weighted = loss(*logits, LABELS, SYNTHETIC, counts.double())
    assert weighted.total.item() == pytest.approx(loss(*repeated).total.item(), rel=1e-9)


def test_weights_are_not_normalized_within_a_batch(logits):
    """Sums are divided by the number of samples, not by the sum of the weights, whose mean in a batch is not 1."""
    student, teacher = logits
    labels = LABELS.masked_fill(torch.tensor([False, True, False, False, True, False]), UNKNOWN_LABEL)
    known, weights = [0, 2, 3, 5], torch.tensor([0.5, 3.0, 2.0, 1.0, 4.0, 0.0], dtype=torch.float64)
    targets = torch.where(labels == UNKNOWN_LABEL, teacher.argmax(dim=1), labels)
    divergences = reference(student, teacher, targets, 3.0)
    target_class, other_classes = (divergences * weights.numpy()).sum(axis=1) / 6
    hard = -(weights.numpy() * log_softmax(student.detach().numpy(), axis=1)[np.arange(6), labels])[known].sum() / 4
    loss = DecoupledKnowledgeDistillationLoss(alpha=0.5, beta=2.0, temperature=3.0, hard_weight=0.7)
    found = loss(student, teacher, labels, SYNTHETIC, weights)
    total = 9 * (0.5 * target_class + 2 * other_classes) + 0.7 * hard
    assert [part.item() for part in found] == pytest.approx([total, target_class, other_classes, hard], rel=1e-9)
    doubled = loss(student, teacher, labels, SYNTHETIC, 2 * weights)
    assert [part.item() for part in doubled] == pytest.approx([2 * part.item() for part in found], rel=1e-9)


def test_gradient_of_extreme_logits_is_finite():
    student = torch.tensor([[1e5, -1e5, 0.0], [-1e5, 0.0, 1e5]], requires_grad=True)
    teacher = torch.tensor([[-1e5, 1e5, 0.0], [1e5, 0.0, 0.0]])
    loss = DecoupledKnowledgeDistillationLoss(temperature=1.0)
    total = loss(student, teacher, torch.tensor([0, 0]), torch.tensor([False, False])).total
    (gradient,) = torch.autograd.grad(total, student)
    assert total.isfinite()
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_two_classes_have_no_other_classes_to_compare():
    student, teacher = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])
    target_class, other_classes = decoupled_divergences(student, teacher, torch.tensor([1]), 1.0)
    p, q = softmax(teacher.numpy()), softmax(student.numpy())
    assert target_class.item() == pytest.approx(divergence(p, q), rel=1e-5)
    assert other_classes.item() == 0


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperature_out_of_range(temperature):
    with pytest.raises(ValueError, match=f"temperature: got {temperature}, expected a value > 0"):
        DecoupledKnowledgeDistillationLoss(temperature=temperature)


@pytest.mark.parametrize("name", ["alpha", "beta", "hard_weight"])
def test_negative_weights(name):
    with pytest.raises(ValueError, match=f"{name}: got -0.1, expected a value >= 0"):
        DecoupledKnowledgeDistillationLoss(**{name: -0.1})
