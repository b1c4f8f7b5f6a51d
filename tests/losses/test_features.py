from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import (
    FSPLoss,
    HintLoss,
    KnowledgeDistillationLoss,
    L2LogitsLoss,
    fsp_loss,
    fsp_matrix,
    hint_loss,
    make_regressor,
)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestHints:
    def test_equation(self):
        student, teacher = draw(3, 2, 4, 4), draw(3, 2, 4, 4, seed=1)
        difference = (student - teacher).numpy().reshape(3, -1)
        assert hint_loss(student, teacher).item() == pytest.approx(
            0.5 * np.mean(np.linalg.norm(difference, axis=1) ** 2), rel=1e-9, abs=1e-10
        )

    def test_regressors_learn_and_loss_is_their_weighted_sum(self):
        loss = HintLoss([("a", "b"), ("c", "d")], weight=3.0)
        assert list(loss.parameters()) == []
        loss.build([(2, 4, 4), (5,)], [(6, 3, 3), (5,)])
        loss.double()
        assert [parameter.shape for parameter in loss.parameters()] == [(6, 2, 2, 2), (6,)]
        student, teacher = [draw(3, 2, 4, 4), draw(3, 5)], [draw(3, 6, 3, 3, seed=1), draw(3, 5, seed=2)]
        value = loss.feature_loss(student, teacher)
        convolved = nn.functional.conv2d(student[0], *loss.parameters())
        assert value.item() == pytest.approx(
            3 * (hint_loss(convolved, teacher[0]) + hint_loss(student[1], teacher[1])).item(), rel=1e-9, abs=1e-10
        )
        value.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in loss.parameters())

    def test_a_second_build_keeps_the_regressor(self):
        loss = HintLoss([("a", "b")])
        for _ in range(2):
            loss.build([(3,)], [(4,)])
            first = getattr(loss, "first", loss.regressors[0])
            loss.first = first
        assert loss.regressors[0] is first

    @pytest.mark.parametrize(
        ("student", "teacher"), [((3, 2, 2), (3, 4, 4)), ((3,), (3, 4, 4)), ((3, 4, 4), (9,)), ((3, 4, 2), (3, 2, 4))]
    )
    def test_unmatched_names_are_refused(self, student, teacher):
        with pytest.raises(ConfigurationError, match=r"model\.loss\.layers, a -> b: .*expected two vectors"):
            HintLoss([("a", "b")]).build([student], [teacher])

    def test_equal_shapes_need_no_regressor(self):
        assert isinstance(make_regressor((3, 2, 2), (3, 2, 2)), nn.Identity)


class TestFlows:
    def test_matrix_is_equation_1(self):
        first, second = draw(2, 3, 4, 5), draw(2, 6, 4, 5, seed=1)
        expected = np.zeros((2, 3, 6))
        for i in range(3):
            for j in range(6):
                expected[:, i, j] = (first[:, i] * second[:, j]).mean(dim=(1, 2)).numpy()
        assert np.allclose(fsp_matrix(first, second).numpy(), expected, rtol=1e-9, atol=1e-10)

    def test_larger_maps_are_max_pooled(self):
        first, second = draw(2, 3, 8, 8), draw(2, 6, 4, 4, seed=1)
        pooled = nn.functional.max_pool2d(first, 2)
        assert torch.allclose(fsp_matrix(first, second), fsp_matrix(pooled, second), rtol=1e-9, atol=1e-10)
        assert torch.allclose(fsp_matrix(second, first), fsp_matrix(second, pooled), rtol=1e-9, atol=1e-10)

    def test_loss_is_equation_2(self):
        student = [draw(2, 3, 8, 8), draw(2, 4, 4, 4, seed=1), draw(2, 5, 2, 2, seed=2)]
        teacher = [draw(2, 3, 6, 6, seed=3), draw(2, 4, 6, 6, seed=4), draw(2, 5, 3, 3, seed=5)]
        total = 0.0
        for k in range(2):
            g_s, g_t = fsp_matrix(*student[k : k + 2]), fsp_matrix(*teacher[k : k + 2])
            total += np.linalg.norm((g_s - g_t).numpy().reshape(2, -1), axis=1) ** 2
        assert fsp_loss(student, teacher).item() == pytest.approx(total.mean(), rel=1e-9, abs=1e-10)
        weighted = FSPLoss([("a", "a"), ("b", "b"), ("c", "c")], weight=0.25)
        assert weighted.feature_loss(student, teacher).item() == pytest.approx(total.mean() / 4, rel=1e-9, abs=1e-10)
        assert fsp_loss(student, student).item() == 0

    def test_unequal_numbers_of_maps_are_refused(self):
        loss = FSPLoss([("a", "b"), ("c", "d")])
        loss.build([(3, 8, 8), (4, 4, 4)], [(3, 6, 6), (4, 2, 2)])
        message = r"model\.loss\.layers, c -> d: got features \(5, 2, 2\) -> \(4, 4, 4\), expected feature maps"
        with pytest.raises(ConfigurationError, match=message):
            loss.build([(3, 8, 8), (4, 4, 4)], [(3, 6, 6), (5, 2, 2)])
        with pytest.raises(ConfigurationError, match="expected feature maps"):
            loss.build([(3,), (4,)], [(3,), (4,)])


@pytest.mark.parametrize("kind", [HintLoss, FSPLoss])
class TestBoth:
    pairs = [("a", "b"), ("c", "d")]  # noqa: RUF012

    def test_the_loss_on_logits_is_passed_on(self, kind):
        student, teacher = draw(4, 3), draw(4, 3, seed=1)
        labels, synthetic = torch.tensor([0, 1, 2, 0]), torch.tensor([True, False, True, False])
        for inner in (L2LogitsLoss(), KnowledgeDistillationLoss(hard_loss_on_synthetic=False)):
            outer = kind(self.pairs, logits_loss=inner)
            assert outer(student, teacher, labels, synthetic) == inner(student, teacher, labels, synthetic)
        assert kind(self.pairs)(student, teacher, labels, synthetic).total == 0

    @pytest.mark.parametrize("weight", [0.0, -1.0])
    def test_weights_that_are_not_positive_are_refused(self, kind, weight):
        with pytest.raises(ConfigurationError, match=r"weight: got .*, expected a value > 0"):
            kind(self.pairs, weight)

    def test_too_few_pairs_are_refused(self, kind):
        with pytest.raises(ConfigurationError, match=r"layers: got \d pairs, expected \d or more"):
            kind(self.pairs[: kind.fewest_pairs - 1])
