from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from ganmc_lightning.data.mixing import check_mixing, concat_synthetic, synthetic_count
from ganmc_lightning.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("p_fake", "batch_size"), [("0.3", 7), ("0.1", 3), ("0.7", 10), ("0.333", 32), ("0.5", 1), ("0.999", 128)]
)
@pytest.mark.parametrize("first", [0, 10**7])
def test_share_is_exact_in_the_long_run(p_fake: str, batch_size: int, first: int) -> None:
    steps = range(first, first + 1000)
    counts = [synthetic_count(step, batch_size, float(p_fake), "per_sample", 0) for step in steps]
    share = Fraction(p_fake) * batch_size
    exact = [int(share * (step + 1)) - int(share * step) for step in steps]  # in whole numbers, no rounding
    assert counts == exact
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == share * 1000


@pytest.mark.parametrize("mix_mode", ["per_sample", "per_batch"])
def test_ends_of_the_range(mix_mode: str) -> None:
    for step in range(50):
        assert synthetic_count(step, 7, 0.0, mix_mode, step) == 0
        assert synthetic_count(step, 7, 1.0, mix_mode, step) == 7


def test_batch_mode_is_all_or_nothing_with_the_right_share() -> None:
    counts = [synthetic_count(step, 7, 0.3, "per_batch", seed=step) for step in range(4000)]
    assert set(counts) == {0, 7}
    share = sum(count == 7 for count in counts) / 4000
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5


def test_labels_stay_with_their_samples() -> None:
    real = (torch.tensor([[10.0], [11.0], [12.0]]), torch.tensor([0, 1, 2]))
    fake = (torch.tensor([[-5.0], [-6.0]]), torch.tensor([5, 6]))
    batch = concat_synthetic(real, fake)
    assert batch.synthetic.tolist() == [True, True, False, False, False]
    pairs = set(zip(batch.inputs.flatten().tolist(), batch.labels.tolist(), batch.synthetic.tolist(), strict=True))
    assert pairs == {(10.0, 0, False), (11.0, 1, False), (12.0, 2, False), (-5.0, 5, True), (-6.0, 6, True)}


def test_only_real_and_only_synthetic() -> None:
    samples = (torch.ones(3, 2), torch.tensor([2, 1, 0]))
    nothing = (torch.empty(0, 2), torch.empty(0, dtype=torch.long))
    real, fake = concat_synthetic(samples, None), concat_synthetic(nothing, samples)
    assert not real.synthetic.any()
    assert fake.synthetic.all()
    for batch in (real, fake):
        assert batch.inputs.shape == (3, 2)
        assert batch.labels.tolist() == [2, 1, 0]
        assert batch.synthetic.dtype == torch.bool
        assert batch.synthetic.shape == (3,)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_leave_with_their_channels_last(channels: int) -> None:
    images = torch.arange(2 * channels * 4, dtype=torch.float32).view(2, channels, 2, 2)
    labels = torch.zeros(2, dtype=torch.long)
    for batch in (concat_synthetic((images, labels), None), concat_synthetic((images, labels), (images, labels))):
        assert batch.inputs.stride()[1:] == (1, 2 * channels, channels)
        torch.testing.assert_close(batch.inputs[-2:], images, rtol=0, atol=0)


def test_unknown_mode() -> None:
    with pytest.raises(ConfigurationError, match="mix_mode: got 'per-batch', expected one of per_sample, per_batch"):
        check_mixing(0.5, True, 4, "per-batch")  # type: ignore[arg-type]
