from __future__ import annotations

from functools import partial

import pytest
import torch

from ganmc_lightning.evaluation import (
    METRICS,
    GeneratorEvaluator,
    Students,
    load_datamodule,
    open_samples,
    select_metrics,
)
from ganmc_lightning.evaluation.samples import StoredSamples
from ganmc_lightning.evaluation.table import flatten_metrics, make_table, number, remarks
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

FEATURES = ("is", "fid", "kid", "prdc", "near_duplicates")


class Watched:
    """Counts how many samples the extractor sees, by number of samples."""

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
    scores = GeneratorEvaluator(data, (*FEATURES, "vol"), {}, n=60, seed=0, extractor=extractor).score(make_set(noise))
    real = data.samples("test")[0]
    for name, metric in (
        ("fid", FrechetInceptionDistance(extractor)),
        ("kid", KernelInceptionDistance(extractor, subset_size=40)),
        ("prdc", PRDC(extractor)),
        ("is", InceptionScore(extractor)),
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
    assert scores.protocols["fid"]["n_real"] == 40
    assert scores.protocols["vol"]["reference"] == "real:test"
    assert scores.skipped == {}


def test_planted_copies_are_found_and_others_are_not(data, extractor, make_set, noise):
    scorer = GeneratorEvaluator(data, ("near_duplicates",), {}, n=60, seed=0, extractor=extractor)
    copies = torch.cat([data.samples("train")[0][:15], noise[:45]])
    assert scorer.score(make_set(copies)).values["near_duplicate_rate"] == pytest.approx(0.25, abs=0.02)
    assert scorer.score(make_set(noise)).values["near_duplicate_rate"] < 0.02


def test_the_real_side_is_looked_at_once_and_kept_on_disk(data, extractor, make_set, noise, monkeypatch, tmp_path):
    watched = Watched(extractor, monkeypatch)
    scorer = GeneratorEvaluator(data, FEATURES, {}, n=60, seed=0, extractor=extractor)
    first = scorer.score(make_set(noise))
    assert sorted(watched.seen) == [40, 40, 60, 108]
    watched.seen.clear()
    scorer.score(make_set(noise[:50]))
    assert watched.seen == [50]
    watched.seen.clear()
    assert len(list((tmp_path / "root" / "statistics").glob("*.npz"))) == 2
    again = GeneratorEvaluator(data, FEATURES, {}, n=60, seed=0, extractor=extractor).score(make_set(noise))
    assert sorted(watched.seen) == [40, 60]  # near copies want the held-out features themselves
    assert again.values == first.values


def test_without_a_place_for_the_cache_all_is_computed(data, extractor, make_set, noise, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "statistics").write_text("a file")
    assert (
        "fid" in GeneratorEvaluator(data, ("fid",), {}, n=60, seed=0, extractor=extractor).score(make_set(noise)).values
    )


@pytest.mark.parametrize(
    ("samples", "real_part", "skipped"),
    [
        ("real:train", "test", {"near_duplicates"}),
        ("real:test", "test", {"fid", "kid", "prdc", "near_duplicates"}),
        ("real:val", "test", set()),
        ("real:train", "train", {"fid", "kid", "prdc", "near_duplicates"}),
    ],
)
def test_samples_are_not_compared_with_themselves(data, extractor, samples, real_part, skipped):
    scorer = GeneratorEvaluator(data, FEATURES, {}, n=500, seed=0, real_part=real_part, extractor=extractor)
    scores = scorer.score(open_samples(samples, data))
    assert set(scores.skipped) == skipped
    assert set(scores.protocols) == set(FEATURES) - skipped


def test_compression_scores_of_real_samples_and_of_blank_ones(data, make_set):
    torch.manual_seed(0)
    real, held_out = data.samples("train")[0], data.samples("test")
    teacher = MLPClassifier(64, 3, hidden=())
    with torch.no_grad():  # three bars: the class is the brightest third
        for layer in teacher.modules():
            if isinstance(layer, torch.nn.Linear):
                columns = torch.arange(64) % 8
                layer.weight.copy_(torch.stack([(columns // 3 == k).float() * (columns % 3 < 2) for k in range(3)]))
                layer.bias.zero_()
    student = partial(MLPClassifier, 64, 3, hidden=(16,))
    students = Students(teacher, student, data.spec, real, held_out, (0, 1, 2), batch_size=8, learning_rate=0.01)
    scorer = GeneratorEvaluator(data, ("compression_score",), {}, n=60, seed=0, students=students)
    perfect, poor = (
        scorer.score(open_samples("real:train", data)),
        scorer.score(make_set(torch.zeros(60, 1, 8, 8, dtype=torch.uint8))),
    )
    for form in ("paper", "poster"):
        assert perfect.values[f"compression_score_{form}"] == pytest.approx(1, rel=1e-5, abs=1e-6)
        assert perfect.values[f"compression_score_{form}_accuracy"] > 0.8
        assert poor.values[f"compression_score_{form}"] < 0.5
        assert poor.protocols[f"compression_score_{form}"]["n_generated"] == 60
    assert perfect.protocols["compression_score_paper"]["seeds"] == "0, 1, 2"


def test_rows_are_scored_too(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    data = load_datamodule("breast_cancer")
    metrics, skipped = select_metrics(None, data, extractor=True, students=False)
    assert set(skipped) == {"vol", "compression_score"}
    scorer = GeneratorEvaluator(
        data, metrics, skipped, n=300, seed=0, extractor=ClassifierExtractor(MLPClassifier(30, 2, hidden=(8,)))
    )
    real = scorer.score(open_samples("real:train", data)).values
    shuffled = data.samples("train")[0].clone()
    for column in shuffled.T:
        column.copy_(column[torch.randperm(len(column))])
    poor = scorer.score(StoredSamples("shuffled", "memory", shuffled, data)).values
    assert real["fid"] < poor["fid"]
    assert real["precision"] > poor["precision"]


def test_all_metrics_that_can_be_computed(data):
    assert select_metrics(None, data, extractor=True, students=True) == (METRICS, {})
    metrics, skipped = select_metrics(None, data, extractor=False, students=False)
    assert metrics == ("vol",)
    assert skipped["fid"] == "needs --extractor"
    assert skipped["compression_score"] == "needs --teacher and --student"
    assert select_metrics(["vol"], data, extractor=False, students=False) == (("vol",), {})


@pytest.mark.parametrize(("name", "message"), [("fidd", "'fidd' is unknown"), ("fid", "fid needs --extractor")])
def test_metrics_that_cannot_be_computed(data, name, message):
    with pytest.raises(ConfigurationError, match=message):
        select_metrics([name], data, extractor=False, students=False)


def test_the_table_and_its_remarks(data, extractor, make_set, noise):
    scorer = GeneratorEvaluator(
        data, ("fid", "near_duplicates"), {"vol": "needs images"}, n=60, seed=0, extractor=extractor
    )
    scores = [scorer.score(make_set(noise[:9], "few")), scorer.score(open_samples("real:train", data))]
    table = make_table(scores)
    assert [str(column.header) for column in table.columns] == ["", "few\nn = 9", "real:train\nn = 60"]
    labels, few, real = ([str(cell) for cell in column.cells] for column in table.columns)
    assert labels == ["FID", "near copies", "  of held-out real samples"]
    assert few[0] == number(scores[0].values["fid"])
    assert real[1] == "-"
    lines = remarks(scores)
    assert any(line.startswith("few: fid: singular covariance") for line in lines)
    assert "left out: vol (needs images)" in lines
    assert "left out: near_duplicates of real:train (the samples are what others are compared with)" in lines
    assert set(flatten_metrics(scores)) >= {"test/few/fid", "test/real:train/fid"}
    assert flatten_metrics(scores[:1])["test/fid"] == scores[0].values["fid"]
