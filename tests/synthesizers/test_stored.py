from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec
from ganmc_lightning.errors import InputError
from ganmc_lightning.synthesizers import StoredSynthesizer

ROWS = DataSpec((2,), 3)
IMAGES = DataSpec((3, 4, 5), 3)
REAL_LABELS = torch.tensor([0, 1, 2])


@pytest.fixture
def npz(tmp_path):
    """Writes arrays into a file and gives its path."""

    def write(**arrays):
        np.savez(tmp_path / "some.npz", **arrays)
        return str(tmp_path / "some.npz")

    return write


@pytest.fixture
def folder(tmp_path):
    """Three classes of flat 4x4 images: the red of class k is 50 k, plus one an image."""
    for k, name in enumerate(("ant", "bee", "cat")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for j in range(2):
            Image.new("RGB", (4, 4), (50 * k + j, 7, 255)).save(tmp_path / "set" / name / f"{j}.png")
    return tmp_path / "set"


def fitted(path, spec):
    synthesizer = StoredSynthesizer(str(path))
    synthesizer.fit(None, REAL_LABELS, spec)
    return synthesizer


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def complaint(path, spec):
    with pytest.raises(InputError) as caught:
        fitted(path, spec)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


class TestFile:
    def test_rows_with_labels(self, npz):
        path = npz(X=np.array([[0.5, -3.0], [1.5, 9.0], [2.5, 0.0]]), labels=np.array([0, 1, 2]))
        samples, labels = fitted(path, ROWS).sample(600, seeded(0))
        assert samples.shape == (600, 2)
        assert samples.dtype == torch.float32
        assert torch.equal(samples[:, 0], labels + 0.5)  # every row keeps its label, and no scaling touches it
        assert chisquare(labels.bincount()).pvalue > 0.01

    def test_images_channels_last(self, npz):
        images = np.zeros((3, 4, 5, 3), np.uint8)
        images[1, 2, 3] = (255, 51, 0)
        path = npz(images=images, labels=np.arange(3))
        samples, labels = fitted(path, IMAGES).sample(50, seeded(0))
        assert samples.shape == (50, 3, 4, 5)
        assert samples.dtype == torch.float32
        assert torch.allclose(samples[labels == 1][0][:, 2, 3], torch.tensor([1.0, -0.6, -1.0]), rtol=1e-5, atol=1e-6)
        assert (samples[labels != 1] == -1).all()

    def test_without_labels(self, npz):
        samples, labels = fitted(npz(X=np.zeros((2, 2))), ROWS).sample(9)
        assert samples.shape == (9, 2)
        assert labels.tolist() == [UNKNOWN_LABEL] * 9

    def test_fewer_classes_than_the_data(self, npz):
        _, labels = fitted(npz(X=np.zeros((2, 2)), labels=np.array([1, 1])), ROWS).sample(9)
        assert labels.tolist() == [1] * 9

    def test_seeds(self, npz):
        synthesizer = fitted(npz(X=np.random.default_rng(0).normal(size=(50, 2))), ROWS)
        first, again, other = (synthesizer.sample(20, seeded(seed))[0] for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_draws_do_not_share_memory_with_the_store(self, npz):
        synthesizer = fitted(npz(X=np.ones((3, 2))), ROWS)
        synthesizer.sample(3)[0].zero_()
        assert (synthesizer.sample(3)[0] == 1).all()


class TestBadFile:
    def test_missing(self, tmp_path):
        assert "no such file" in complaint(tmp_path / "no.npz", ROWS)

    def test_truncated(self, npz, tmp_path):
        path = npz(X=np.zeros((100, 2)))
        content = (tmp_path / "some.npz").read_bytes()
        (tmp_path / "some.npz").write_bytes(content[:500])
        assert "is no .npz file, or only a part of one" in complaint(path, ROWS)

    def test_neither_images_nor_rows(self, npz):
        path = npz(samples=np.zeros((2, 2)), y=np.zeros(2))
        assert complaint(path, ROWS) == f"{path}: holds samples, y: synthetic samples need images or X"

    def test_shape_of_other_data(self, npz):
        assert "shape (5,), the data have (2,)" in complaint(npz(X=np.zeros((3, 5))), ROWS)

    def test_size_of_other_images(self, npz):
        assert "shape (3, 8, 8), the data have (3, 4, 5)" in complaint(npz(images=np.zeros((3, 8, 8, 3), "u1")), IMAGES)

    def test_images_for_rows(self, npz):
        assert "the data have (2,)" in complaint(npz(images=np.zeros((3, 4, 4, 3), np.uint8)), ROWS)

    def test_float_images(self, npz):
        assert "images has dtype float64: images must be uint8" in complaint(npz(images=np.zeros((3, 4, 5, 3))), IMAGES)

    def test_label_beyond_the_classes(self, npz):
        assert "label 3" in complaint(npz(X=np.zeros((2, 2)), labels=np.array([0, 3])), ROWS)

    @pytest.mark.parametrize("labels", [[0], [0.5, 1.0], [-2, 0]])
    def test_labels_that_are_none(self, npz, labels):
        assert "labels" in complaint(npz(X=np.zeros((2, 2)), labels=np.array(labels)), ROWS)

    def test_pickled_objects(self, npz):
        assert "pickled" in complaint(npz(X=np.array([[{}, 1]], dtype=object)), ROWS)

    def test_a_failed_fit_serves_nothing(self, npz):
        synthesizer = StoredSynthesizer(npz(X=np.zeros((3, 5))))
        with pytest.raises(InputError):
            synthesizer.fit(None, REAL_LABELS, ROWS)
        with pytest.raises(InputError, match="StoredSynthesizer is not fitted"):
            synthesizer.sample(1)


class TestFolder:
    def test_classes_in_order_of_name(self, folder):
        samples, labels = fitted(folder, DataSpec((3, 4, 4), 3)).sample(400, seeded(0))
        assert samples.shape == (400, 3, 4, 4)
        red = ((samples[:, 0] + 1) * 127.5).round()
        assert torch.equal(red[:, 0, 0] // 50, labels.float())
        assert torch.allclose(samples[:, 2], torch.ones(()), rtol=1e-5, atol=1e-6)
        assert chisquare(red[:, 0, 0].unique(return_counts=True)[1]).pvalue > 0.01

    def test_resized_to_the_data(self, folder):
        samples, _ = fitted(folder, DataSpec((1, 8, 8), 3)).sample(4)
        assert samples.shape == (4, 1, 8, 8)

    def test_more_classes_than_the_data(self, folder):
        assert "label 2" in complaint(folder, DataSpec((3, 4, 4), 2))

    @pytest.mark.parametrize("shape", [(4,), (2, 4, 4), (4, 4, 4)])
    def test_data_that_no_picture_can_be(self, folder, shape):
        message = complaint(folder, DataSpec(shape, 3))
        assert message == f"{folder}: a folder of images cannot stand in for samples of shape {shape}"

    def test_oblong_data(self, folder):
        assert "shape (3, 4, 4), the data have (3, 4, 5)" in complaint(folder, IMAGES)

    def test_no_class_folders(self, tmp_path):
        assert "holds no class folders" in complaint(tmp_path, DataSpec((3, 4, 4), 3))

    def test_empty_class(self, folder):
        (folder / "dog").mkdir()
        assert f"{folder / 'dog'}: holds no image" in complaint(folder, DataSpec((3, 4, 4), 4))

    def test_a_file_that_is_no_image(self, folder):
        (folder / "bee" / "0.png").write_bytes(b"no picture")
        assert "bee/0.png: cannot be read as an image" in complaint(folder, DataSpec((3, 4, 4), 3))
