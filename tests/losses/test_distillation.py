from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import log_softmax, softmax
from scipy.stats import entropy, zscore

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import (
    KnowledgeDistillationLoss,
    L2LogitsLoss,
    l2_logits_loss,
    soft_cross_entropy,
    standardize_logits,
)


@pytest.fixture
def batch():
    """Student logits, teacher logits, labels, and which samples are synthetic."""
    random = torch.Generator().manual_seed(0)
    student = (2 * torch.randn(6, 5, generator=random, dtype=torch.float64)).requires_grad_()
    teacher = 3 * torch.randn(6, 5, generator=random, dtype=torch.float64)
    labels = torch.tensor([0, 4, 2, 1, 3, 3])
    return student, teacher, labels, torch.tensor([False, True, True, False, False, True])


def gradient(loss, student):
    (grad,) = torch.autograd.grad(loss, student)
    return grad


class TestL2:
    def test_equation(self, batch):
        student, teacher, labels, synthetic = batch
        g, z = student.detach().numpy(), teacher.numpy()
        expected = np.mean([np.linalg.norm(g[i] - z[i]) ** 2 for i in range(6)])
        assert l2_logits_loss(student, teacher).item() == pytest.approx(expected, rel=1e-9, abs=1e-10)
        assert L2LogitsLoss()(student, teacher, labels, synthetic).total.item() == pytest.approx(
            expected, rel=1e-9, abs=1e-10
        )

    def test_gradient(self, batch):
        student, teacher, _, _ = batch
        assert torch.allclose(
            gradient(l2_logits_loss(student, teacher), student), 2 * (student - teacher) / 6, rtol=1e-9, atol=1e-10
        )

    def test_labels_are_not_used(self, batch):
        student, teacher, labels, synthetic = batch
        values = {
            L2LogitsLoss()(student, teacher, some, flags).total.item()
            for some in (labels, torch.full_like(labels, UNKNOWN_LABEL))
            for flags in (synthetic, ~synthetic)
        }
        assert len(values) == 1


class TestSoftCrossEntropy:
    @pytest.mark.parametrize("temperature", [1.0, 5.0, 20.0, 0.5])
    def test_against_numpy(self, batch, temperature):
        student, teacher, _, _ = batch
        p = softmax(teacher.numpy() / temperature, axis=1)
        expected = -np.mean((p * log_softmax(student.detach().numpy() / temperature, axis=1)).sum(axis=1))
        assert soft_cross_entropy(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-9, abs=1e-10)

    @pytest.mark.parametrize("temperature", [1.0, 6.0])
    def test_is_divergence_plus_entropy_of_the_teacher(self, batch, temperature):
        student, teacher, _, _ = batch
        p = softmax(teacher.numpy() / temperature, axis=1)
        divergence = F.kl_div(
            F.log_softmax(student / temperature, dim=1), torch.from_numpy(p), reduction="batchmean"
        ).item()
        loss = soft_cross_entropy(student, teacher, temperature).item()
        assert loss - entropy(p, axis=1).mean() == pytest.approx(divergence, rel=1e-6, abs=1e-9)

    def test_least_where_student_and_teacher_agree(self, batch):
        _, teacher, _, _ = batch
        student = teacher.clone().requires_grad_()
        agreed = soft_cross_entropy(student, teacher, 3.0)
        assert torch.allclose(gradient(agreed, student), torch.zeros(6, 5, dtype=torch.float64), atol=1e-12)
        assert agreed < soft_cross_entropy(teacher + torch.randn_like(teacher), teacher, 3.0)

    def test_confident_and_wrong_costs_more_than_unsure(self):
        teacher = torch.tensor([[5.0, 0.0]])
        wrong, unsure = torch.tensor([[0.0, 5.0]]), torch.zeros(1, 2)
        assert soft_cross_entropy(wrong, teacher, 1.0) > soft_cross_entropy(unsure, teacher, 1.0)


class TestKnowledgeDistillation:
    @pytest.mark.parametrize(("temperature", "alpha"), [(5.0, 0.9), (6.0, 0.95)])
    @pytest.mark.parametrize("scaled", [True, False])
    def test_weighted_sum(self, batch, temperature, alpha, scaled):
        student, teacher, labels, synthetic = batch
        g, z = student.detach().numpy(), teacher.numpy()
        soft = -np.mean((softmax(z / temperature, axis=1) * log_softmax(g / temperature, axis=1)).sum(axis=1))
        hard = -np.mean(log_softmax(g, axis=1)[np.arange(6), labels.numpy()])
        factor = temperature**2 if scaled else 1
        loss = KnowledgeDistillationLoss(temperature, alpha, scaled)(student, teacher, labels, synthetic)
        assert (loss.soft.item(), loss.hard.item()) == pytest.approx((soft, hard), rel=1e-9, abs=1e-10)
        assert loss.total.item() == pytest.approx(alpha * factor * soft + (1 - alpha) * hard, rel=1e-9, abs=1e-10)

    def test_scaling_multiplies_the_soft_gradient_by_temperature_squared(self, batch):
        student = batch[0]
        plain, scaled = (
            gradient(KnowledgeDistillationLoss(7.0, 1.0, flag)(*batch).total, student) for flag in (False, True)
        )
        assert torch.allclose(scaled, 49 * plain, rtol=1e-9, atol=1e-10)
        assert plain.abs().max() > 1e-3

    def test_scaled_gradient_tends_to_that_of_centred_logits(self, batch):
        """Hinton et al. 2015, equation 4: at high T the gradient is (g - z) / K, logits centered, times 1/N here."""
        student, teacher, _, _ = batch
        g, z = (x - x.mean(dim=1, keepdim=True) for x in (student.detach(), teacher))
        hot = gradient(KnowledgeDistillationLoss(1e5, 1.0)(*batch).total, student)
        assert torch.allclose(hot, (g - z) / 5 / 6, atol=1e-4)

    @pytest.mark.parametrize("scaled", [True, False])
    def test_alpha_one_ignores_labels(self, batch, scaled):
        student, teacher, labels, synthetic = batch
        loss = KnowledgeDistillationLoss(4.0, 1.0, scaled)
        first = loss(student, teacher, labels, synthetic).total
        other = loss(student, teacher, (labels + 1) % 5, synthetic).total
        assert first.item() == other.item()
        assert torch.equal(gradient(first, student), gradient(other, student))

    def test_alpha_zero_ignores_the_teacher(self, batch):
        student, teacher, labels, synthetic = batch
        loss = KnowledgeDistillationLoss(4.0, 0.0)
        expected = F.cross_entropy(student, labels).item()
        assert loss(student, teacher, labels, synthetic).total.item() == pytest.approx(expected, rel=1e-9, abs=1e-10)
        assert loss(student, -teacher, labels, synthetic).total.item() == pytest.approx(expected, rel=1e-9, abs=1e-10)

    def test_unknown_labels_are_excluded_only_from_the_hard_loss(self, batch):
        student, teacher, labels, synthetic = batch
        labels = labels.clone()
        labels[[1, 4]] = UNKNOWN_LABEL
        known = [0, 2, 3, 5]
        expected = 0.5 * soft_cross_entropy(student, teacher, 2.0) + 0.5 * F.cross_entropy(
            student[known], labels[known]
        )
        loss = KnowledgeDistillationLoss(2.0, 0.5, False)(student, teacher, labels, synthetic)
        assert loss.total.item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-10)

    def test_ignored_synthetic_labels(self, batch):
        student, teacher, labels, synthetic = batch
        ignored = KnowledgeDistillationLoss(2.0, 0.5, False, False)
        real = ~synthetic
        expected = 0.5 * soft_cross_entropy(student, teacher, 2.0) + 0.5 * F.cross_entropy(student[real], labels[real])
        before = labels.clone()
        assert ignored(student, teacher, labels, synthetic).total.item() == pytest.approx(
            expected.item(), rel=1e-9, abs=1e-10
        )
        assert torch.equal(labels, before)  # the batch must not be modified

    @pytest.mark.parametrize("fakes", [0, 2, 8])
    def test_ignored_labels_are_averaged_over_real_samples_for_every_share(self, fakes):
        """A real sample's gradient is (softmax - one-hot) divided by the number of real samples, not of all samples."""
        student = torch.randn(10, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
        labels, synthetic = torch.arange(10) % 3, torch.arange(10) < fakes
        hard = KnowledgeDistillationLoss(1.0, 0.0, hard_loss_on_synthetic=False)(student, student, labels, synthetic)
        expected = (student.softmax(dim=1) - F.one_hot(labels, 3)) / (10 - fakes)
        expected[:fakes] = 0
        torch.testing.assert_close(gradient(hard.total, student), expected.detach(), rtol=1e-5, atol=1e-6)

    def test_ignored_on_synthetic_samples_only(self, batch):
        student, teacher, labels, _ = batch
        everything = torch.ones(6, dtype=torch.bool)
        loss = KnowledgeDistillationLoss(2.0, 0.5, False, False)(student, teacher, labels, everything)
        assert loss.total.item() == pytest.approx(
            0.5 * soft_cross_entropy(student, teacher, 2.0).item(), rel=1e-9, abs=1e-10
        )

    def test_hard_loss_on_synthetic_samples_equals_that_on_real_ones(self, batch):
        student, teacher, labels, synthetic = batch
        loss = KnowledgeDistillationLoss(2.0, 0.5, hard_loss_on_synthetic=True)
        assert loss(student, teacher, labels, synthetic) == loss(student, teacher, labels, ~synthetic)

    @pytest.mark.parametrize("temperature", [0.0, -1.0])
    def test_temperature_out_of_range(self, temperature):
        with pytest.raises(ValueError, match=f"temperature: got {temperature}, expected a value > 0"):
            KnowledgeDistillationLoss(temperature)

    @pytest.mark.parametrize("alpha", [-0.1, 1.1])
    def test_alpha_out_of_range(self, alpha):
        with pytest.raises(ValueError, match=rf"alpha: got {alpha}, expected a value in \[0, 1\]"):
            KnowledgeDistillationLoss(alpha=alpha)


class TestLogitStandardization:
    def test_algorithm_1(self, batch):
        """Sun et al. 2024, algorithm 1, with base temperature 2; the hard loss is that of the original logits."""
        student, teacher, labels, synthetic = batch
        g, z = (zscore(x, axis=1) / 2 for x in (student.detach().numpy(), teacher.numpy()))
        soft = -np.mean((softmax(z, axis=1) * log_softmax(g, axis=1)).sum(axis=1))
        hard = -np.mean(log_softmax(student.detach().numpy(), axis=1)[np.arange(6), labels.numpy()])
        loss = KnowledgeDistillationLoss(2.0, 0.7, standardize_logits=True)(student, teacher, labels, synthetic)
        expected = (soft, hard, 0.7 * 4 * soft + 0.3 * hard)
        # The variance is increased by 1e-5.
        assert (loss.soft.item(), loss.hard.item(), loss.total.item()) == pytest.approx(expected, rel=1e-4)

    @pytest.mark.parametrize(("scale", "shift"), [(1.0, 50.0), (20.0, 0.0), (0.3, -7.0)])
    def test_soft_loss_does_not_depend_on_scale_and_shift(self, batch, scale, shift):
        student, teacher, labels, synthetic = batch
        loss = KnowledgeDistillationLoss(3.0, 1.0, standardize_logits=True)
        expected = loss(*batch).soft.item()
        assert loss(scale * student + shift, teacher, labels, synthetic).soft.item() == pytest.approx(
            expected, rel=1e-4
        )
        assert loss(student, scale * teacher + shift, labels, synthetic).soft.item() == pytest.approx(
            expected, rel=1e-4
        )

    @pytest.mark.parametrize("values", [[3.0, 3.0, 3.0], [1e5, -1e5, 0.0], [1e-6, 0.0, -1e-6]])
    def test_gradient_of_constant_and_extreme_logits_is_finite(self, values):
        student = torch.tensor([values], requires_grad=True)
        loss = KnowledgeDistillationLoss(2.0, standardize_logits=True)
        batch = torch.tensor([[1.0, 5.0, 2.0]]), torch.tensor([1]), torch.tensor([False])
        total = loss(student, *batch).total
        assert total.isfinite()
        assert gradient(total, student).isfinite().all()

    def test_two_classes_are_refused(self):
        loss = KnowledgeDistillationLoss(2.0, standardize_logits=True)
        with pytest.raises(ConfigurationError, match="standardize_logits: got 2 classes, expected at"):
            loss(torch.randn(4, 2), torch.randn(4, 2), torch.tensor([0, 1, 0, 1]), torch.zeros(4, dtype=torch.bool))

    def test_constant_logits_become_zero(self):
        assert torch.equal(standardize_logits(torch.full((2, 3), 7.0)), torch.zeros(2, 3))


@pytest.mark.parametrize(
    "loss",
    [L2LogitsLoss(), KnowledgeDistillationLoss(3.0, 0.7), KnowledgeDistillationLoss(3.0, 0.7, standardize_logits=True)],
    ids=["L2", "KD", "standardized KD"],
)
def test_weights_repeat_samples(batch, loss):
    counts = torch.tensor([1, 2, 0, 1, 0, 2])  # 1 on average
    repeated = [tensor.repeat_interleave(counts, dim=0) for tensor in batch]
    assert loss.takes_weights
    assert loss(*batch, counts.double()).total.item() == pytest.approx(loss(*repeated).total.item())


@pytest.mark.parametrize("standardized", [False, True])
def test_weights_are_not_normalized_within_a_batch(batch, standardized):
    """Sums are divided by the number of samples, not by the sum of the weights, whose mean in a batch is not 1."""
    student, teacher, labels, synthetic = batch
    labels = labels.masked_fill(torch.tensor([False, True, False, False, True, False]), UNKNOWN_LABEL)
    known, weights = [0, 2, 3, 5], torch.tensor([0.5, 3.0, 2.0, 1.0, 4.0, 0.0], dtype=torch.float64)
    g, z, w = student.detach().numpy(), teacher.numpy(), weights.numpy()
    hard = -(w * log_softmax(g, axis=1)[np.arange(6), labels.numpy()])[known].sum() / 4
    distances = ((g - z) ** 2).sum(axis=1)
    if standardized:
        g, z = (zscore(x, axis=1) for x in (g, z))
    soft = -(w * (softmax(z / 2, axis=1) * log_softmax(g / 2, axis=1)).sum(axis=1)).sum() / 6
    loss = KnowledgeDistillationLoss(2.0, 0.7, standardize_logits=standardized)
    found = loss(student, teacher, labels, synthetic, weights)
    # The variance of standardized logits is increased by 1e-5.
    assert [part.item() for part in found] == pytest.approx([0.7 * 4 * soft + 0.3 * hard, soft, hard], rel=1e-4)
    doubled = loss(student, teacher, labels, synthetic, 2 * weights)
    assert [part.item() for part in doubled] == pytest.approx([2 * part.item() for part in found], rel=1e-9)
    for scale in (1, 2):
        l2 = L2LogitsLoss()(student, teacher, labels, synthetic, scale * weights).total
        assert l2.item() == pytest.approx(scale * (w * distances).sum() / 6, rel=1e-9)
