"""Tests on three Gaussian classes in a plane with two noise columns and the exact teacher."""

from __future__ import annotations

import copy
import os
import pickle
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torchmetrics import MetricCollection

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import CompressionScore, compression_score
from ganmc_lightning.networks import LeNet4, NormalizedInput, SubtractMeanImage

CENTRES = 2 * torch.tensor([[1.0, 0.0], [-0.5, 0.866], [-0.5, -0.866]])
SETTINGS = {"seeds": (0, 1, 2), "batch_size": 32, "learning_rate": 0.03}
student = partial(nn.Linear, 4, 3)


def blobs(n, seed, shares=(1 / 3, 1 / 3, 1 / 3)):
    """Rows (n, 4) and their classes; only the first two columns depend on the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.multinomial(torch.tensor(shares), n, replacement=True, generator=generator)
    rows = torch.randn(n, 4, generator=generator)
    rows[:, :2] = CENTRES[labels] + 0.7 * rows[:, :2]
    return rows, labels


def blank(features=4):
    """A student with zero weights: without training it predicts one class."""
    layer = nn.Linear(features, 3)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@pytest.fixture(scope="module")
def teacher():
    """The log-odds of the three Gaussians, which are linear."""
    layer = nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, :2] = CENTRES
        layer.bias.zero_()
    return layer


@pytest.fixture(scope="module")
def real():
    return blobs(300, 0)[0]


@pytest.fixture(scope="module")
def held_out():
    return blobs(400, 1)


def score(generated, real, held_out, teacher, student=student, **settings):
    return compression_score(generated, real, held_out, teacher=teacher, student=student, **{**SETTINGS, **settings})


class TestScale:
    def test_the_real_data_themselves_score_one(self, real, held_out, teacher):
        value = score(real, real, held_out, teacher)
        assert value.mean.item() == pytest.approx(1, rel=1e-5, abs=1e-6)
        assert torch.equal(value.accuracies, value.real_accuracies)
        assert value.real_accuracies.mean() > 0.9  # or the scale would have no length

    def test_other_real_data_score_one_within_the_interval(self, held_out, teacher):
        # Few steps on few rows: the students do differ.
        one, other = blobs(100, 2)[0], blobs(100, 3)[0]
        value = score(one, other, held_out, teacher, seeds=range(8))
        width = stats.t.ppf(0.995, 7) * value.standard_error.item()
        assert 0 < width < 0.5
        assert abs(value.mean.item() - 1) < width

    def test_samples_that_teach_nothing_score_zero(self, real, held_out, teacher):
        noise = torch.randn(300, 4, generator=torch.Generator().manual_seed(4))
        noise[:, :2] = 0  # noise where the teacher does not look, nothing where it does
        value = score(noise, real, held_out, teacher, blank)
        assert abs(value.mean.item()) < 0.05

    def test_missing_classes_lower_the_score(self, real, held_out, teacher):
        classes = teacher(real).argmax(dim=1)
        scores = [score(rows, real, held_out, teacher, blank).mean for rows in (real[classes != 0], real[classes == 0])]
        assert 1 > scores[0] > scores[1] > 0

    def test_blur_lowers_the_score(self):
        """Vertical stripes, horizontal stripes, a chessboard: averaging neighbors removes two of them, or all three."""
        sign = torch.tensor([1.0, -1.0, 1.0, -1.0])
        patterns = torch.stack([sign.expand(4, 4), sign.view(4, 1).expand(4, 4), sign.view(4, 1) * sign])
        teacher, pictures = nn.Sequential(nn.Flatten(), nn.Linear(16, 3, bias=False)), {}
        with torch.no_grad():
            teacher[1].weight.copy_(patterns.flatten(1))
        for seed, part in enumerate(("real", "held_out")):
            generator = torch.Generator().manual_seed(seed)
            labels = torch.arange(300) % 3
            noise = torch.randn(300, 1, 4, 4, generator=generator).mul(4).round() / 32  # so that blurring is exact
            pictures[part] = patterns[labels, None] / 8 + noise, labels

        def blank_student():
            return nn.Sequential(nn.Flatten(), blank(16))

        def blurred(images, *axes):
            for axis in axes:
                images = (images + images.roll(1, axis)) / 2
            return images

        real = pictures["real"][0]
        scores = [
            score(
                blurred(real, *axes), real, pictures["held_out"], teacher, blank_student, learning_rate=0.1
            ).mean.item()
            for axes in ((), (3,), (2, 3))
        ]
        assert scores[0] == pytest.approx(1, rel=1e-5, abs=1e-6)
        # One pattern left: its class is known, and half of the others for lying on its far side, as the first of two.
        assert scores[1] == pytest.approx((1 / 3 + 1 / 6 - 1 / 3) / (2 / 3), abs=0.1)
        assert scores[2] == pytest.approx(0, rel=1e-5, abs=1e-6)

    def test_samples_of_the_wrong_class_score_below_zero(self, real, held_out, teacher):
        """Students trained on marked samples, for which the teacher returns the logits of -x."""

        class Contrary(nn.Module):
            def forward(self, inputs):
                sign = torch.where(inputs[:, 3:] > 50, -1.0, 1.0)
                return teacher(inputs * torch.tensor([1.0, 1.0, 1.0, 0.0])) * sign

        class Blind(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = blank()

            def forward(self, inputs):
                return self.layer(inputs * torch.tensor([1.0, 1.0, 1.0, 0.0]))

        marked = real.clone()
        marked[:, 3] = 100
        assert score(marked, real, held_out, Contrary(), Blind).mean < -0.1

    def test_shuffled_logits_lower_the_score(self, real, held_out, teacher):
        """The teacher returns the logits of other samples for marked ones: the more, the lower the score."""
        shown = torch.tensor([1.0, 1.0, 1.0, 0.0])

        class Confused(nn.Module):
            def forward(self, inputs):
                answers = teacher(inputs * shown)
                return torch.where(inputs[:, 3:] > 50, answers.roll(7, dims=0), answers)

        class Blind(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = blank()

            def forward(self, inputs):
                return self.layer(inputs * shown)

        scores = []
        for share in (0, 0.6, 1):
            marked = real.clone()
            marked[: round(share * len(real)), 3] = 100
            scores.append(score(marked, real * shown, held_out, Confused(), Blind, learning_rate=0.003).mean.item())
        assert scores[0] == pytest.approx(1, abs=0.02)
        assert scores[0] > scores[1] + 0.02 > scores[2] + 0.2


@pytest.fixture(scope="module")
def fashion():
    """4,000 training and 1,000 test images in [-1, 1] with labels, and a teacher trained on the first half."""
    path = Path(os.environ.get("GANMC_DATA", "absent")) / "fashion_mnist.npz"
    if not path.is_file():
        pytest.skip("needs fashion_mnist.npz in $GANMC_DATA")
    with np.load(path) as file:
        arrays = {name: torch.from_numpy(file[name][:4000]) for name in file.files}
    images = to_float_images(arrays["train_images"].permute(0, 3, 1, 2))
    labels = arrays["train_labels"][:2000]
    held_out = to_float_images(arrays["test_images"][:1000].permute(0, 3, 1, 2)), arrays["test_labels"][:1000]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LeNet4()
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(8):
            for index in torch.randperm(2000).split(50):
                loss = nn.functional.cross_entropy(network(images[index]), labels[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return images[:2000], images[2000:], held_out, network


def test_scale_of_real_images(fashion):
    """Other real images score 1 within the interval, uniform noise about 0, blurred images between."""
    real, other, held_out, teacher = fashion
    noise = torch.rand(2000, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blurred = nn.functional.avg_pool2d(other, 9, stride=1, padding=4, count_include_pad=False)
    values, real_accuracies = [], None
    for images in (other, blurred, noise):
        settings = {"batch_size": 10, "learning_rate": 3e-3, "real_accuracies": real_accuracies}
        values.append(
            compression_score(images, real, held_out, teacher=teacher, student=LeNet4, variant="1_epoch", **settings)
        )
        real_accuracies = values[0].real_accuracies
    assert real_accuracies.mean() > 0.6  # measured: 0.69
    width = stats.t.ppf(0.995, 2) * values[0].standard_error
    assert abs(values[0].mean - 1) < width < 0.3
    assert 0.5 < values[1].mean < 0.9  # 0.71
    assert abs(values[2].mean) < 0.2  # 0.05


PATTERNS = torch.randint(2, (4, 1, 8, 8), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
PATTERNS = PATTERNS.repeat_interleave(2, 2).repeat_interleave(2, 3)


class Matched(nn.Module):
    """Logits are inner products with the patterns; weak ones are 0, so that noise contains no information."""

    def forward(self, images):
        return 8 * (torch.einsum("nchw,kchw->nk", images, PATTERNS) / 256 - 0.2).relu()


def patterned(seed):
    """400 images of 16 pixels in [-1, 1] and their classes: the pattern of the class plus noise."""
    labels = torch.arange(400) % 4
    noise = torch.randn(400, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return (0.4 * PATTERNS[labels] + noise).clamp(-1, 1), labels


def test_scale_of_patterned_images():
    """Other real images score 1 within the interval, noise about 0, blurred and noisy images between."""
    (real, _), (other, _), held_out = (patterned(seed) for seed in range(3))
    random = torch.Generator().manual_seed(3)
    noise = torch.rand(other.shape, generator=random) * 2 - 1
    noisy = (other + 0.7 * torch.randn(other.shape, generator=random)).clamp(-1, 1)
    blurred = other.lerp(nn.functional.avg_pool2d(other, 3, stride=1, padding=1, count_include_pad=False), 0.5)

    def student():
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 16), nn.ReLU(), nn.Linear(16, 4))

    settings = {"variant": "1_epoch", "seeds": range(4), "batch_size": 10, "learning_rate": 2e-3}
    values, known = [], None
    for images in (other, noisy, blurred, noise):
        values.append(
            compression_score(
                images, real, held_out, teacher=Matched(), student=student, real_accuracies=known, **settings
            )
        )
        known = values[0].real_accuracies
    scores = [value.mean.item() for value in values]
    assert values[0].chance == 0.25
    assert values[0].real_accuracies.mean() > 0.9
    assert abs(scores[0] - 1) < stats.t.ppf(0.995, 3) * values[0].standard_error < 0.1
    assert 0.3 < scores[1] < 0.9
    assert 0.3 < scores[2] < 0.9
    assert abs(scores[3]) < 0.15


class TestByHand:
    @pytest.mark.parametrize(("variant", "chance"), [("5_epochs", 1 / 3), ("1_epoch", 0.7)])
    def test_formula(self, real, teacher, variant, chance):
        rows, _ = blobs(100, 5)
        labels = torch.tensor([1] * 70 + [0] * 20 + [2] * 10)
        held_out = (rows.clone(), labels)
        held_out[0][:, :2] = CENTRES[labels] + 0.3 * rows[:, :2]
        value = score(real[:40], real, held_out, teacher, variant=variant, learning_rate=0.03)
        ours, theirs = value.accuracies.numpy(), value.real_accuracies.numpy()
        scores = (ours - chance) / (theirs.mean() - chance)
        assert value.chance == pytest.approx(chance, rel=1e-9, abs=1e-10)
        assert theirs.mean() > 0.75
        assert value.mean.item() == pytest.approx(scores.mean(), rel=1e-9, abs=1e-10)
        gain = theirs.mean() - chance
        error = np.hypot(stats.sem(ours) / gain, scores.mean() * stats.sem(theirs) / gain)
        assert value.standard_error.item() == pytest.approx(error, rel=1e-9, abs=1e-10)

    def test_real_data_have_the_error_of_two_independent_sets_of_students(self, held_out, teacher):
        rows = blobs(100, 2)[0]
        value = score(rows, rows, held_out, teacher)
        gain = value.real_accuracies.mean().item() - 1 / 3
        expected = 2**0.5 * stats.sem(value.real_accuracies.numpy()) / gain
        assert expected > 0
        assert value.standard_error.item() == pytest.approx(expected, rel=1e-9, abs=1e-10)

    def test_mode_of_the_real_data_and_not_of_the_held_out_labels(self, real, held_out, teacher):
        labels = torch.tensor([0] * 200 + [1] * 120 + [2] * 80)
        chances = [
            score(real, real, (held_out[0], labels), teacher, variant="1_epoch", most_common_class=common).chance
            for common in (None, 0, 1)
        ]
        assert chances == pytest.approx([0.5, 0.5, 0.3])

    def test_accuracies_are_those_of_the_seeded_students(self, real, held_out, teacher):
        """With learning rate 0 the students keep the initial weights of their seeds."""
        value = score(real, real, held_out, teacher, learning_rate=0.0)
        for k, seed in enumerate(SETTINGS["seeds"]):
            torch.manual_seed(seed)
            right = nn.Linear(4, 3)(held_out[0]).argmax(dim=1) == held_out[1]
            assert value.accuracies[k].item() == pytest.approx(right.float().mean().item(), rel=1e-5, abs=1e-6)

    def test_students_learn_the_teachers_logits(self, real, held_out, teacher):
        """With enough steps, a linear student equals the teacher for all initial weights."""
        students = []

        def kept():
            students.append(student())
            return students[-1]

        score(real, real, held_out, teacher, kept, learning_rate=0.1, batch_size=8)
        assert len(students) == 6
        for learned in students:
            assert torch.allclose(learned.weight, teacher.weight, atol=0.02)
            assert torch.allclose(learned.bias, teacher.bias, atol=0.02)

    @pytest.mark.parametrize(("variant", "epochs"), [("5_epochs", 5), ("1_epoch", 1)])
    def test_equal_steps_for_both_sets(self, held_out, teacher, variant, epochs):
        steps = []

        class Counting(nn.Linear):
            def forward(self, inputs):
                if self.training:
                    steps.append(len(inputs))
                return super().forward(inputs)

        real = blobs(100, 0)[0]
        for count in (7, 1000):
            steps.clear()
            generated = blobs(count, 6)[0]
            score(
                generated, real, held_out, teacher, lambda: Counting(4, 3), variant=variant, seeds=(0, 1), batch_size=32
            )
            assert steps == [32] * (epochs * 4 * 2 * 2)  # 4 batches of 32 hold 100; 2 sets, 2 seeds

    def test_every_sample_is_used_before_one_is_repeated(self, held_out, teacher):
        seen = []

        class Noting(nn.Linear):
            def forward(self, inputs):
                if self.training:
                    seen.extend(inputs[:, 0].tolist())
                return super().forward(inputs)

        real = blobs(96, 0)[0]
        score(real, real, held_out, teacher, lambda: Noting(4, 3), seeds=(0,))
        epochs = np.array(seen).reshape(2 * 5, 96)
        assert all(set(epoch) == set(real[:, 0].tolist()) for epoch in epochs)
        assert (epochs[0] != epochs[1]).any()

    def test_bytes_count_as_the_images_they_are(self, held_out, teacher):
        images = torch.randint(256, (80, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        floats = images.float() / 127.5 - 1
        settings = {"seeds": (0,), "batch_size": 16}
        as_bytes = score(images, images[:50], held_out, teacher, **settings)
        as_floats = score(floats, floats[:50], held_out, teacher, **settings)
        assert torch.allclose(as_bytes.accuracies, as_floats.accuracies, rtol=0, atol=0.003)
        assert torch.allclose(as_bytes.real_accuracies, as_floats.real_accuracies, rtol=0, atol=0.003)

    def test_given_accuracies_of_the_real_samples(self, real, held_out, teacher):
        """The students of the real samples are not trained again."""
        made = []

        def counted():
            made.append(student())
            return made[-1]

        first = score(real[:40], real, held_out, teacher, counted)
        assert len(made) == 2 * len(SETTINGS["seeds"])
        made.clear()
        again = score(real[:40], real, held_out, teacher, counted, real_accuracies=first.real_accuracies)
        assert len(made) == len(SETTINGS["seeds"])
        assert equal(again, first)

    def test_one_seed_has_no_error(self, real, held_out, teacher):
        value = score(real, real, held_out, teacher, seeds=(0,))
        assert value.standard_error.isnan()
        assert value.accuracies.shape == (1,)

    def test_no_scale_where_the_real_data_teach_nothing(self, real, held_out, teacher):
        """With real data below chance, worse samples would have higher scores."""
        blind = real * torch.tensor([0.0, 0.0, 1.0, 1.0])
        assert score(real, blind, held_out, teacher, blank, variant="1_epoch").mean.isnan()

    @pytest.mark.parametrize("broken", ["generated", "real", "held_out"])
    def test_nan(self, real, held_out, teacher, broken):
        sets = {"generated": real, "real": real, "held_out": held_out}
        sets[broken] = (held_out[0] * torch.nan, held_out[1]) if broken == "held_out" else real * torch.nan
        with pytest.raises(ConfigurationError, match="samples: got NaN"):
            score(**sets, teacher=teacher)

    def test_images_out_of_range(self, held_out, teacher):
        with pytest.raises(ConfigurationError, match=r"float images: got the range \[200, 200\]"):
            score(torch.full((4, 1, 2, 2), 200.0), torch.zeros(4, 1, 2, 2), held_out, teacher)

    @pytest.mark.parametrize("empty", ["generated", "real", "held_out"])
    def test_empty_sets(self, real, held_out, teacher, empty):
        sets = {"generated": real, "real": real, "held_out": held_out}
        sets[empty] = (real[:0], held_out[1][:0]) if empty == "held_out" else real[:0]
        with pytest.raises(ConfigurationError, match=r"got 0 .* samples, expected at least 1"):
            score(**sets, teacher=teacher)


class TestSurroundings:
    def test_random_states_are_unchanged(self, real, held_out, teacher):
        torch.manual_seed(7)
        before, python = torch.get_rng_state(), random.getstate()
        score(real, real, held_out, teacher)
        assert torch.equal(torch.get_rng_state(), before)
        assert random.getstate() == python

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    @pytest.mark.parametrize("device", ["cpu", "cuda"])
    def test_random_states_of_gpus_are_unchanged(self, real, held_out, teacher, device):
        torch.manual_seed(7)
        before = torch.get_rng_state(), torch.cuda.get_rng_state()
        rows, held_out = real.to(device), tuple(part.to(device) for part in held_out)
        score(rows, rows, held_out, copy.deepcopy(teacher))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert torch.equal(torch.cuda.get_rng_state(), before[1])

    def test_nor_do_they_matter(self, real, held_out, teacher):
        values = []
        for seed in (7, 8):
            torch.manual_seed(seed)
            values.append(score(real[:50], real, held_out, teacher).accuracies)
        assert torch.equal(*values)

    @pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
    def test_within_a_validation_loop(self, real, held_out, teacher, context):
        expected = score(real[:50], real, held_out, teacher).mean
        with context():
            inside = score(real.clone()[:50], real.clone(), held_out, teacher).mean
        assert torch.equal(inside, expected)

    def test_the_teacher_learns_nothing(self, real, held_out):
        network = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))
        before = copy.deepcopy(network.state_dict())
        score(real, real, held_out, network, seeds=(0,))
        assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
        assert all(parameter.grad is None for parameter in network.parameters())

    def test_students_are_trained_in_training_and_scored_in_evaluation_mode(self, real, held_out, teacher):
        modes = set()

        class Noting(nn.Linear):
            def forward(self, inputs):
                modes.add((len(inputs), self.training))
                return super().forward(inputs)

        score(real, real, held_out, teacher, lambda: Noting(4, 3).eval(), seeds=(0,))
        assert modes == {(32, True), (400, False)}

    def test_samples_stay_as_they_were(self, real, held_out, teacher):
        before = real.clone()
        score(real, real, held_out, teacher, seeds=(0,))
        assert torch.equal(real, before)


@pytest.fixture
def metric(held_out, teacher):
    return CompressionScore(teacher, student, held_out, **SETTINGS)


def feed(metric, real, generated, size=100):
    for part in real.split(size):
        metric.update(part, real=True)
    for part in generated.split(size):
        metric.update(part, real=False)
    return metric


def equal(one, other):
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(one, other, strict=True))


class TestMetric:
    @pytest.mark.parametrize("variant", ["5_epochs", "1_epoch"])
    def test_equals_the_function(self, real, held_out, teacher, variant):
        generated = blobs(250, 9)[0]
        metric = CompressionScore(teacher, student, held_out, variant, **SETTINGS)
        expected = score(generated, real, held_out, teacher, variant=variant)
        assert equal(feed(metric, real, generated).compute(), expected)

    def test_reset(self, metric, real):
        first = feed(metric, real, real[:40]).compute()
        metric.reset()
        assert metric.real == metric.generated == []
        other = feed(metric, real, -real).compute()
        metric.reset()
        assert not equal(first, other)
        assert equal(feed(metric, real, real[:40]).compute(), first)

    def test_stored_accuracies_are_those_of_the_current_real_rows(self, metric, real, held_out, teacher):
        generated, one, other = real[:40], real[:50], 2 - real[50:100]
        first = feed(metric, one, generated).compute()
        metric.update(other, real=True)
        both = metric.compute()
        assert equal(both, score(generated, torch.cat([one, other]), held_out, teacher))
        metric.reset()
        last = feed(metric, other, generated).compute()  # as many rows as at first
        assert equal(last, score(generated, other, held_out, teacher))
        assert len({tuple(value.real_accuracies.tolist()) for value in (first, both, last)}) == 3

    def test_real_rows_of_other_ranks_after_a_reset(self, metric, real, held_out, teacher):
        """A rank without real rows gets those of the others when ``compute`` synchronizes the states."""
        feed(metric, real, real[:40]).compute()
        metric.reset()
        metric.update(real[:40], real=False)
        metric.real.append(2 - real)
        assert equal(metric.compute(), score(real[:40], 2 - real, held_out, teacher))

    def test_pickle(self, metric, real):
        feed(metric, real, real[:40])
        thawed = pickle.loads(pickle.dumps(metric))
        assert equal(thawed.compute(), metric.compute())

    def test_clone(self, metric, real):
        clone = feed(metric, real, real[:40]).clone()
        expected = metric.compute()
        metric.reset()
        assert equal(clone.compute(), expected)

    def test_the_teacher_is_no_part_of_it(self, held_out):
        network = nn.Linear(4, 3)
        metric = CompressionScore(network, student, held_out)
        assert list(metric.parameters()) == []
        assert dict(metric.state_dict()) == {}
        assert list(nn.ModuleDict({"score": metric}).state_dict()) == []
        metric.persistent(True)
        assert set(metric.state_dict()) == {"real", "generated"}

    def test_nothing_given(self, metric, real):
        metric.update(real, real=True)
        with pytest.raises(ConfigurationError, match=r"got 0 .* samples, expected at least 1"):
            metric.compute()

    def test_settings(self, metric, real):
        feed(metric, real, real[:40]).compute()
        expected = {"variant": "5_epochs", "epochs": 5, "seeds": "0, 1, 2", "batch_size": 32, "learning_rate": 0.03}
        assert metric.settings() == {**expected, "n_real": 300, "n_generated": 40, "n_held_out": 400}

    def test_a_scale_without_length_is_flagged(self, real, held_out, teacher):
        blind = real * torch.tensor([0.0, 0.0, 1.0, 1.0])
        metric = CompressionScore(teacher, blank, held_out, "1_epoch", **SETTINGS)
        assert feed(metric, blind, real).compute().mean.isnan()
        assert metric.warnings == ("the accuracy of the students of the real samples is not above chance",)

    def test_in_a_collection(self, real, held_out, teacher):
        """Both variants in one collection, each under its own name."""
        variants = {
            variant: CompressionScore(teacher, student, held_out, variant, **SETTINGS)
            for variant in ("5_epochs", "1_epoch")
        }
        collection = feed(MetricCollection(variants, prefix="val/"), real, real[:40])
        values = collection.compute()
        assert set(values) == {"val/5_epochs", "val/1_epoch"}
        for variant in ("5_epochs", "1_epoch"):
            assert equal(values[f"val/{variant}"], score(real[:40], real, held_out, teacher, variant=variant))

    def test_higher_is_better(self, metric):
        assert metric.higher_is_better
        assert not metric.is_differentiable


def test_batches_of_one_and_batch_normalization():
    def student():
        return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))

    rows, labels = torch.randn(6, 4), torch.arange(6) % 2
    with pytest.raises(
        ConfigurationError, match=r"1 \(BatchNorm1d\): got one value .*batch_size of the Compression Score"
    ):
        compression_score(rows, rows, (rows, labels), teacher=nn.Linear(4, 2), student=student, batch_size=1)
    one = compression_score(rows[:1], rows, (rows, labels), teacher=nn.Linear(4, 2), student=student, batch_size=2)
    assert one.accuracies.isfinite().all()  # one sample, repeated


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Rows and a teacher in half precision score as the same numbers in float32, up to the teacher's rounding."""
    teacher, rows, held_out = nn.Linear(4, 3).to(dtype), blobs(60, 0)[0], blobs(400, 1)
    with torch.no_grad():
        teacher.weight.copy_(nn.functional.pad(CENTRES, (0, 2)))
        teacher.bias.zero_()
    rows, held_out = rows.to(dtype), (held_out[0].to(dtype), held_out[1])
    settings = {"student": student, "seeds": (0, 1), "batch_size": 10, "learning_rate": 0.01}
    halved = compression_score(rows, rows[:40], held_out, teacher=teacher, **settings)
    metric = CompressionScore(teacher, held_out=held_out, **settings)
    feed(metric, rows[:40], rows)
    assert equal(metric.compute(), halved)
    full = compression_score(
        rows.float(), rows[:40].float(), (held_out[0].float(), held_out[1]), teacher=teacher.float(), **settings
    )
    torch.testing.assert_close(halved.accuracies, full.accuracies, rtol=0, atol=2 / 400)
    torch.testing.assert_close(halved.real_accuracies, full.real_accuracies, rtol=0, atol=2 / 400)


def test_students_are_new_networks():
    """Training one network again would increase the accuracy from seed to seed."""
    network = nn.Linear(4, 2)
    rows, labels = torch.randn(6, 4), torch.arange(6) % 2
    for student in (lambda: network, lambda: nn.Sequential(network)):
        with pytest.raises(ConfigurationError, match="student: got one network twice"):
            compression_score(rows, rows, (rows, labels), teacher=nn.Linear(4, 2), student=student, batch_size=2)


def test_mean_image_of_students_is_that_of_the_real_images():
    students = []

    def student():
        students.append(NormalizedInput(SubtractMeanImage((1, 2, 2)), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))))
        return students[-1]

    random = torch.Generator().manual_seed(0)
    real = torch.randint(256, (8, 1, 2, 2), generator=random, dtype=torch.uint8)
    labels = torch.arange(8) % 2
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    for images in (real, to_float_images(real)):
        compression_score(255 - real, images, (real, labels), teacher=teacher, student=student, batch_size=2)
    for each in students:
        torch.testing.assert_close(each.normalize.mean, real.float().mean(dim=0))
