"""Properties of all metrics: order, batch size, pickling, cloning, reset, collections, two processes."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torchmetrics import MetricCollection

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import (
    PRDC,
    ClassifierExtractor,
    CompressionScore,
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    LaplacianVariance,
    NearDuplicates,
)
from ganmc_lightning.networks import FiveLayerCNN, MLPClassifier

OF_FEATURES = ["fid", "kid", "inception_score", "prdc", "near_duplicates"]
ALL = [*OF_FEATURES, "laplacian_variance", "compression_score"]
student = partial(MLPClassifier, 64, 3, ())


@pytest.fixture(scope="module")
def make(image_extractor, make_images):
    """Create a metric by its name."""
    held_out = make_images(40, 7)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = student().eval()
    labels = teacher(to_float_images(held_out)).argmax(dim=1)
    makers = {
        "fid": partial(FrechetInceptionDistance, image_extractor),
        "kid": partial(KernelInceptionDistance, image_extractor, subsets=4, subset_size=25),
        "inception_score": partial(InceptionScore, image_extractor, splits=3),
        "prdc": partial(PRDC, image_extractor, k=3),
        "near_duplicates": partial(NearDuplicates, image_extractor, held_out, percentile=10),
        "laplacian_variance": LaplacianVariance,
        "compression_score": partial(
            CompressionScore,
            teacher,
            student,
            (held_out, labels),
            "1_epoch",
            seeds=(0, 1),
            batch_size=16,
            learning_rate=0.1,
        ),
    }
    return lambda name: makers[name]()


@pytest.fixture(scope="module")
def real(make_images):
    return make_images(60, 0)


@pytest.fixture(scope="module")
def fake(make_images):
    return make_images(50, 1, top=200)


def feed(metric, real, fake, size=64):
    for part in real.split(size):
        metric.update(part, real=True)
    for part in fake.split(size):
        metric.update(part, real=False)
    return metric


def numbers(value):
    """Return all numbers of a value as a flat list."""
    if isinstance(value, dict):
        value = tuple(value.values())
    parts = value if isinstance(value, tuple) else (value,)
    return [number for part in parts for number in torch.as_tensor(part).double().flatten().tolist()]


@pytest.mark.parametrize("name", ALL)
class TestEach:
    def test_any_batch_size(self, make, real, fake, name):
        expected = numbers(feed(make(name), real, fake).compute())
        assert all(number == number for number in expected)  # a nan equals nothing, and would say nothing
        for size in (1, 7):
            assert numbers(feed(make(name), real, fake, size).compute()) == pytest.approx(expected, rel=1e-5, abs=1e-8)

    def test_one_sample_of_each_kind(self, make, real, fake, name):
        """A number, a warning, or an error with the required number of samples; never NaN without a warning."""
        metric = feed(make(name), real[:1], fake[:1])
        if name in ("fid", "kid", "inception_score", "prdc"):
            with pytest.raises(ConfigurationError, match=r"got 1 .*at least \d+"):
                metric.compute()
        else:
            found = numbers(metric.compute())
            assert metric.warnings or all(map(math.isfinite, found))

    def test_half_precision_applies_only_to_networks(self, make, real, fake, name):
        """Neither a module's conversion nor ``set_dtype`` changes the sums, which would overflow in float16."""
        expected = numbers(feed(make(name), real, fake).compute())
        for convert in (
            lambda metric: metric.set_dtype(torch.float16),
            lambda metric: metric.half(),
            lambda metric: nn.ModuleList([metric]).to(torch.bfloat16)[0],
        ):
            metric = convert(feed(make(name), real[:20], fake[:20]))
            assert numbers(feed(metric, real[20:], fake[20:]).compute()) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_images(self, make, real, fake, name, dtype):
        """Both types distinguish the 256 levels."""
        expected = numbers(feed(make(name), real, fake).compute())
        metric = feed(make(name), to_float_images(real).to(dtype), to_float_images(fake).to(dtype))
        assert numbers(metric.compute()) == pytest.approx(expected, rel=1e-5)

    def test_any_order(self, make, real, fake, name):
        if name == "compression_score":
            pytest.skip("students learn in the order of the samples")
        expected = numbers(feed(make(name), real, fake).compute())
        order = torch.randperm(50, generator=torch.Generator().manual_seed(5))
        metric = make(name)
        metric.update(fake[order], real=False)
        metric.update(real.flip(0), real=True)
        assert numbers(metric.compute()) == pytest.approx(expected, rel=1e-5, abs=1e-8)

    def test_bytes_and_floats_alike(self, make, real, fake, name):
        expected = numbers(feed(make(name), real, fake).compute())
        assert numbers(feed(make(name), to_float_images(real), to_float_images(fake)).compute()) == pytest.approx(
            expected, rel=1e-5, abs=1e-8
        )

    def test_images_of_another_range_are_refused(self, make, real, fake, name):
        metric = make(name)
        for samples, found in (
            (fake / 255, r"\[0, 0.7"),
            (fake.float(), r"\[0, 199\]"),
        ):
            for kind in (False,) if name == "inception_score" else (False, True):  # that one passes over real samples
                with pytest.raises(ConfigurationError, match=found):
                    metric.update(samples, real=kind)

    def test_pickle(self, make, real, fake, name):
        metric = feed(make(name), real, fake)
        thawed = pickle.loads(pickle.dumps(metric))
        assert numbers(thawed.compute()) == numbers(metric.compute())
        assert thawed.settings() == metric.settings()

    def test_clone(self, make, real, fake, name):
        metric = feed(make(name), real, fake)
        expected = numbers(metric.compute())
        clone = metric.clone()
        metric.reset()
        clone.update(real[:0], real=True)  # nothing, but it has the value computed anew
        assert numbers(clone.compute()) == expected

    def test_reset(self, make, real, fake, name):
        metric = feed(make(name), real, fake)
        first = numbers(metric.compute())
        metric.reset()
        assert metric.counts == {}
        assert metric.warnings == ()
        other = numbers(feed(metric, fake, torch.full_like(real[:40], 9)).compute())
        metric.reset()
        assert numbers(feed(metric, real, fake).compute()) == first != other

    def test_no_network_within(self, make, real, fake, name):
        metric = feed(make(name), real, fake)
        assert list(metric.parameters()) == []
        assert list(metric.buffers()) == []
        assert nn.ModuleDict({"score": metric}).state_dict() == {}
        metric.persistent(True)
        assert not any("network" in key or "weight" in key for key in metric.state_dict())

    def test_under_inference_mode(self, make, real, fake, name):
        expected = numbers(feed(make(name), real, fake).compute())
        metric = make(name)
        with torch.inference_mode():
            inside = numbers(feed(metric, real, fake).compute())
        assert inside == pytest.approx(expected, rel=1e-5, abs=1e-8)

    def test_settings_count_the_samples(self, make, real, fake, name):
        metric = feed(make(name), real, fake, size=20)
        metric.compute()
        assert metric.settings()["n_generated"] == 50
        assert all(isinstance(value, str | int | float | bool) for value in metric.settings().values())

    @pytest.mark.parametrize("broken", ["nan", "range", "integers"])
    def test_bad_images(self, make, fake, name, broken):
        images = to_float_images(fake)
        images = {"nan": images * torch.nan, "range": images * 3, "integers": fake.long()}[broken]
        with pytest.raises(ValueError, match=r"got NaN|expected \[-1, 1\]|got dtype torch.int64"):
            make(name).update(images, real=False)


class TestTogether:
    def test_one_pass_serves_all_metrics_of_features(self, make, image_extractor, real, fake):
        collection = MetricCollection({name: make(name) for name in OF_FEATURES})
        for part in real.split(32):
            collection.update(image_extractor(part), real=True)
        for part in fake.split(32):
            collection.update(image_extractor(part), real=False)
        together = collection.compute()
        apart = {}
        for name in OF_FEATURES:
            value = feed(make(name), real, fake).compute()
            apart.update(value if isinstance(value, dict) else {name: value})
        assert (
            set(together)
            == set(apart)
            >= {"fid", "kid", "kid_std", "precision", "inception_score", "near_duplicate_rate"}
        )
        for key, value in apart.items():
            assert together[key].shape == ()
            assert together[key].dtype == torch.float64
            assert together[key].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-8), key

    def test_all_over_the_images(self, make, real, fake):
        collection = feed(MetricCollection({name: make(name) for name in ALL}, prefix="val/"), real, fake)
        values = collection.compute()
        assert values["val/compression_score"].mean.shape == ()
        assert {"val/fid", "val/density", "val/laplacian_variance_ratio"} <= set(values)
        collection.reset()
        assert numbers(feed(collection, real, fake).compute()["val/fid"]) == numbers(values["val/fid"])

    def test_two_extractors_are_kept_apart(self, image_extractor, real, fake):
        """After a first batch of real samples, the states of both are equal and empty."""
        torch.manual_seed(1)
        other = ClassifierExtractor(FiveLayerCNN(1, 8, 3, (4, 6, 8, 12)))
        pair = {"one": InceptionScore(image_extractor, splits=1), "other": InceptionScore(other, splits=1)}
        values = feed(MetricCollection(pair), real, fake).compute()
        alone = [
            feed(InceptionScore(extractor, splits=1), real, fake).compute() for extractor in (image_extractor, other)
        ]
        for key, value in zip(("one", "other"), alone, strict=True):
            assert values[f"{key}_inception_score"] == value["inception_score"]
        assert alone[0]["inception_score"] != alone[1]["inception_score"]

    def test_kid_and_prdc_keep_one_copy(self, make, real, fake):
        collection = feed(MetricCollection({name: make(name) for name in OF_FEATURES}), real, fake)
        assert ["kid", "prdc"] in collection.compute_groups.values()


def test_two_processes_score_what_one_does(tmp_path, make, real, fake):
    """Unequal shares and numbers of batches; one process has no generated samples, the other no real samples."""
    uneven = {True: ((real[:20], real[20:31]), (real[31:],)), False: ((fake[:9],), (fake[9:20], fake[20:], fake[:0]))}
    one_sided = {True: ((real[:20], real[20:]), ()), False: ((), (fake,))}
    problem = {"metrics": {}, "shares": {}}
    for name in ALL:
        for kind, shares in (("uneven", uneven), ("one_sided", one_sided)):
            problem["metrics"][f"{name} {kind}"] = make(name)
            problem["shares"][f"{name} {kind}"] = shares
    (tmp_path / "problem").write_bytes(pickle.dumps(problem))
    worker = Path(__file__).with_name("one_of_two_processes.py")
    paths = [str(tmp_path / name) for name in ("meeting", "problem", "answer")]
    subprocess.run([sys.executable, str(worker), *paths], check=True, timeout=200)
    answers = [torch.load(f"{paths[2]}.{rank}", weights_only=False) for rank in range(2)]
    for name in problem["metrics"]:
        alone = feed(make(name.partition(" ")[0]), real, fake)
        expected = numbers(alone.compute())
        for value, settings in (answer[name] for answer in answers):
            assert numbers(value) == pytest.approx(expected, rel=1e-5, abs=1e-8), name
            assert settings == alone.settings(), name
