from __future__ import annotations

from functools import partial

import pytest
import torch

from ganmc_lightning.evaluation import (
    FEATURE_METRICS,
    METRICS,
    GeneratorEvaluator,
    load_datamodule,
    make_compression_scores,
    open_sample_sets,
    select_metrics,
)
from ganmc_lightning.evaluation.samples import StoredSamples
from ganmc_lightning.evaluation.table import collect_settings, flatten_metrics, format_number, make_table, notes
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import (
    PRDC,
    ClassifierExtractor,
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    laplacian_variance,
)
from ganmc_lightning.networks import MLPClassifier


def open_samples(text, data):
    return open_sample_sets([text], data).sets[0]


class Watched:
    """Count the calls of the extractor by number of samples."""

    def __init__(self, extractor, monkeypatch):
        self.seen = []
        plain = type(extractor).extract

        def extract(inner, samples):
            self.seen.append(len(samples))
            return plain(inner, samples)

        monkeypatch.setattr(type(extractor), "extract", extract)


@pytest.fixture
def noise():
    return torch.randint(256, (60, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def test_the_numbers_are_those_of_the_metrics(data, extractor, make_set, noise):
    evaluator = GeneratorEvaluator(
        data, metrics=(*FEATURE_METRICS, "laplacian_variance"), num_samples=60, extractor=extractor
    )
    scores = evaluator.evaluate(make_set(noise))
    real = data.samples("test")[0]
    for name, metric in (
        ("fid", FrechetInceptionDistance(extractor)),
        ("kid", KernelInceptionDistance(extractor, subset_size=40)),
        ("prdc", PRDC(extractor)),
        ("inception_score", InceptionScore(extractor)),
    ):
        metric.update(noise, real=False)
        metric.update(real, real=True)
        expected = metric.compute()
        for key, value in expected.items() if isinstance(expected, dict) else [(name, expected)]:
            assert scores.values[key] == pytest.approx(value.item(), rel=1e-5, abs=1e-7), key
    sharpness = laplacian_variance(noise).mean(), laplacian_variance(real).mean()
    assert scores.values["laplacian_variance_ratio"] == pytest.approx(
        (sharpness[0] / sharpness[1]).item(), rel=1e-9, abs=1e-10
    )
    assert scores.settings["fid"]["n_real"] == 40
    assert collect_settings(evaluator, [scores])["sharpness_reference"] == "real:test"
    assert scores.skipped == {}


def test_planted_copies_are_found_and_others_are_not(data, extractor, make_set, noise):
    scorer = GeneratorEvaluator(data, metrics=["near_duplicates"], num_samples=60, extractor=extractor)
    copies = torch.cat([data.samples("train")[0][:15], noise[:45]])
    assert scorer.evaluate(make_set(copies)).values["near_duplicate_rate"] == pytest.approx(0.25, abs=0.02)
    assert scorer.evaluate(make_set(noise)).values["near_duplicate_rate"] < 0.02


def test_the_real_side_is_looked_at_once_and_kept_on_disk(data, extractor, make_set, noise, monkeypatch, tmp_path):
    watched = Watched(extractor, monkeypatch)
    scorer = GeneratorEvaluator(data, metrics=FEATURE_METRICS, num_samples=60, extractor=extractor)
    first = scorer.evaluate(make_set(noise))
    assert sorted(watched.seen) == [40, 40, 60, 108]
    watched.seen.clear()
    scorer.evaluate(make_set(noise[:50]))
    assert watched.seen == [50]
    watched.seen.clear()
    assert len(list((tmp_path / "root" / "statistics").glob("*.npz"))) == 2
    again = GeneratorEvaluator(data, metrics=FEATURE_METRICS, num_samples=60, extractor=extractor).evaluate(
        make_set(noise)
    )
    assert sorted(watched.seen) == [40, 60]  # near copies want the held-out features themselves
    assert again.values == first.values


def test_without_a_place_for_the_cache_all_is_computed(data, extractor, make_set, noise, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "statistics").write_text("a file")
    evaluator = GeneratorEvaluator(data, metrics=["fid"], num_samples=60, extractor=extractor)
    expected = FrechetInceptionDistance(extractor)
    expected.update(noise, real=False)
    expected.update(data.samples("test")[0], real=True)
    value = evaluator.evaluate(make_set(noise)).values["fid"]
    assert value == pytest.approx(expected.compute().item(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("samples", "real_split", "skipped"),
    [
        ("real:train", "test", {"near_duplicates"}),
        ("real:test", "test", {"fid", "kid", "prdc", "near_duplicates"}),
        ("real:val", "test", set()),
        ("real:train", "train", {"fid", "kid", "prdc", "near_duplicates"}),
    ],
)
def test_samples_are_not_compared_with_themselves(data, extractor, samples, real_split, skipped):
    scorer = GeneratorEvaluator(
        data, metrics=FEATURE_METRICS, num_samples=500, real_split=real_split, extractor=extractor
    )
    scores = scorer.evaluate(open_samples(samples, data))
    assert set(scores.skipped) == skipped
    assert set(scores.settings) == set(FEATURE_METRICS) - skipped


@pytest.mark.parametrize(("samples", "real_split"), [("real:test", "test"), ("real:val", "val")])
def test_students_are_not_trained_on_their_test_samples(data, samples, real_split):
    compression = {"compression_score_5_epochs": None}  # not used
    evaluator = GeneratorEvaluator(
        data, metrics=["compression_score"], num_samples=40, real_split=real_split, compression=compression
    )
    scores = evaluator.evaluate(open_samples(samples, data))
    assert scores.values == {}
    assert scores.skipped == {"compression_score": "students are tested on these samples"}


def test_compression_scores_of_real_samples_and_of_blank_ones(data, make_set):
    torch.manual_seed(0)
    teacher = MLPClassifier(64, 3, hidden=())
    with torch.no_grad():  # three bars: the class is the brightest third
        for layer in teacher.modules():
            if isinstance(layer, torch.nn.Linear):
                columns = torch.arange(64) % 8
                layer.weight.copy_(torch.stack([(columns // 3 == k).float() * (columns % 3 < 2) for k in range(3)]))
                layer.bias.zero_()
    student = partial(MLPClassifier, 64, 3, hidden=(16,))
    compression = make_compression_scores(
        data, teacher, student, held_out_split="test", batch_size=8, learning_rate=0.01
    )
    evaluator = GeneratorEvaluator(data, metrics=["compression_score"], num_samples=60, compression=compression)
    perfect, poor = (
        evaluator.evaluate(open_samples("real:train", data)),
        evaluator.evaluate(make_set(torch.zeros(60, 1, 8, 8, dtype=torch.uint8))),
    )
    for variant in ("5_epochs", "1_epoch"):
        assert perfect.values[f"compression_score_{variant}"] == pytest.approx(1, rel=1e-5, abs=1e-6)
        assert perfect.values[f"compression_score_{variant}_accuracy"] > 0.8
        assert poor.values[f"compression_score_{variant}"] < 0.5
        assert poor.settings[f"compression_score_{variant}"]["n_generated"] == 60
    assert perfect.settings["compression_score_5_epochs"]["seeds"] == "0, 1, 2"


def test_rows_are_scored_too(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    data = load_datamodule("breast_cancer")
    scorer = GeneratorEvaluator(data, num_samples=300, extractor=ClassifierExtractor(MLPClassifier(30, 2, hidden=(8,))))
    assert set(scorer.skipped) == {"laplacian_variance", "compression_score"}
    real = scorer.evaluate(open_samples("real:train", data)).values
    shuffled = data.samples("train")[0].clone()
    for column in shuffled.T:
        column.copy_(column[torch.randperm(len(column))])
    poor = scorer.evaluate(StoredSamples("shuffled", "memory", shuffled)).values
    assert real["fid"] < poor["fid"]
    assert real["precision"] > poor["precision"]


def test_all_metrics_that_can_be_computed(data):
    assert select_metrics(None, data.spec, has_extractor=True, has_compression=True) == (METRICS, {})
    metrics, skipped = select_metrics(None, data.spec, has_extractor=False, has_compression=False)
    assert metrics == ("laplacian_variance",)
    assert skipped["fid"] == "requires an extractor"
    assert skipped["compression_score"] == "requires a teacher and a student"
    requested = ["laplacian_variance"]
    assert select_metrics(requested, data.spec, has_extractor=False, has_compression=False) == (tuple(requested), {})


@pytest.mark.parametrize(("name", "message"), [("fidd", "metrics: got 'fidd'"), ("fid", "fid requires an extractor")])
def test_metrics_that_cannot_be_computed(data, name, message):
    with pytest.raises(ConfigurationError, match=message):
        select_metrics([name], data.spec, has_extractor=False, has_compression=False)


def test_table_and_notes(data, extractor, make_set, noise):
    scorer = GeneratorEvaluator(data, metrics=["fid", "near_duplicates"], num_samples=60, extractor=extractor)
    scorer.skipped["laplacian_variance"] = "requires images"
    scores = [scorer.evaluate(make_set(noise[:9], "few")), scorer.evaluate(open_samples("real:train", data))]
    table = make_table(scores)
    assert [str(column.header) for column in table.columns] == ["", "few\nn = 9", "real:train\nn = 60"]
    labels, few, real = ([str(cell) for cell in column.cells] for column in table.columns)
    assert labels == ["FID", "near duplicates", "  of held-out real samples"]
    assert few[0] == format_number(scores[0].values["fid"])
    assert real[1] == "-"
    lines = notes(scores)
    assert any(line.startswith("few: fid: singular covariance") for line in lines)
    assert "skipped: laplacian_variance (requires images)" in lines
    assert "skipped: near_duplicates of real:train (the samples are the reference of this metric)" in lines
    assert set(flatten_metrics(scores)) >= {"test/few/fid", "test/real:train/fid"}
    assert flatten_metrics(scores[:1])["test/fid"] == scores[0].values["fid"]
