from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from ganmc_lightning.evaluation import GeneratorEvaluator
from ganmc_lightning.evaluation.plots import find_nearest, plot_nearest, plot_results
from ganmc_lightning.metrics import near_duplicates


@pytest.fixture
def figures(monkeypatch):
    """Figures that are written to files."""
    written, plain = [], Figure.savefig

    def save(figure, *arguments, **options):
        written.append(figure)
        plain(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", save)
    return written


def images_of(subfigure, row):
    """Return the images in one of the 4 rows of a sample set, uint8 (n, C, H, W)."""
    axes = subfigure.axes[10 * row : 10 * (row + 1)]
    return torch.from_numpy(np.stack([image.get_array() for each in axes for image in each.images]))[:, None]


def test_copies_come_first_next_to_their_originals(data, extractor, tmp_path, figures):
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
    for subfigure in figures[0].subfigs:
        assert subfigure.get_suptitle().startswith("spoilt: 20.0% closer to a training sample than ")
        for row in range(4):
            assert torch.equal(images_of(subfigure, row), (pairs.samples, pairs.neighbors)[row % 2][row // 2])
        titles = [axes.get_title() for axes in subfigure.axes]
        assert titles[:10] == [f"{distance:.3g}" for distance in pairs.distances[0].tolist()]
        assert titles[20:30] == [f"{distance:.3g}" for distance in pairs.distances[1].tolist()]
    with Image.open(tmp_path / "pairs.png") as plot:
        assert plot.height > plot.width / 2


def test_all_samples_of_a_small_set_are_plotted(data, extractor, make_set, tmp_path, figures):
    evaluator = GeneratorEvaluator(data, metrics=["fid"], num_samples=20, extractor=extractor)
    noise = torch.randint(256, (20, 1, 8, 8), dtype=torch.uint8)
    results = [evaluator.evaluate(make_set(noise[:size], f"{size}")) for size in (3, 20)]
    plot_results(evaluator, results, tmp_path / "few.png")
    few, all_columns = figures[0].subfigs
    for row in (0, 2):
        assert {image.numpy().tobytes() for image in images_of(few, row)} == {x.numpy().tobytes() for x in noise[:3]}
    assert [len(images_of(all_columns, row)) for row in range(4)] == [10] * 4
    training = {image.numpy().tobytes() for image in data.samples("train")[0]}
    assert {image.numpy().tobytes() for row in (1, 3) for image in images_of(few, row)} <= training
    assert [axes.axison for axes in few.axes] == ([True] * 3 + [False] * 7) * 4
    assert (tmp_path / "few.png").is_file()
