from __future__ import annotations

import pytest
import torch
from PIL import Image

from ganmc_lightning.evaluation import GeneratorEvaluator
from ganmc_lightning.evaluation.plots import find_nearest, plot_nearest, plot_results
from ganmc_lightning.metrics import near_duplicates


def test_copies_come_first_next_to_their_originals(data, extractor, tmp_path):
    training, held_out = data.samples("train")[0], data.samples("test")[0]
    noise = torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8)
    samples = torch.cat([noise, training[20:30]])
    pairs = find_nearest(
        "spoilt",
        samples,
        training,
        near_duplicates(*(extractor(images).features for images in (samples, training, held_out))),
        seed=0,
    )
    drawn = {image.numpy().tobytes() for image in pairs.samples[0]}
    assert drawn < {image.numpy().tobytes() for image in samples}
    assert drawn != {image.numpy().tobytes() for image in samples[:10]}
    assert torch.equal(pairs.samples[1], pairs.neighbors[1])
    assert {image.numpy().tobytes() for image in pairs.samples[1]} == {x.numpy().tobytes() for x in training[20:30]}
    assert pairs.distances[1].max() < 1e-3 < pairs.distances[0].max()
    assert pairs.rate == pytest.approx(0.2, rel=1e-9, abs=1e-10)
    plot_nearest([pairs, pairs], tmp_path / "pairs.png")
    with Image.open(tmp_path / "pairs.png") as plot:
        assert plot.height > plot.width / 2


def test_all_samples_of_a_small_set_are_plotted(data, extractor, make_set, tmp_path):
    evaluator = GeneratorEvaluator(data, metrics=["fid"], num_samples=20, extractor=extractor)
    noise = torch.randint(256, (20, 1, 8, 8), dtype=torch.uint8)
    results = [evaluator.evaluate(make_set(noise[:size], f"{size}")) for size in (3, 20)]
    plot_results(evaluator, results, tmp_path / "few.png")
    with Image.open(tmp_path / "few.png") as plot:
        assert plot.height > plot.width / 2
