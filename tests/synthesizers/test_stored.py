from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec, to_uint8_images
from ganmc_lightning.cli.sample import write_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import StoredSynthesizer

ROWS = DataSpec((2,), 3)
IMAGES = DataSpec((3, 4, 5), 3)
NAMES = ("ant", "bee", "cat")
REAL_LABELS = torch.tensor([0, 1, 2])


@pytest.fixture
def npz(tmp_path):
    """Write arrays to a file and return its path."""

    def write(**arrays):
        np.savez(tmp_path / "some.npz", **arrays)
        return str(tmp_path / "some.npz")

    return write


@pytest.fixture
def folder(tmp_path):
    """Three classes of flat 4x4 images; the red level of class k is 50 k plus the index of the image."""
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


def error_of(path, spec):
    with pytest.raises(ConfigurationError) as caught:
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

    def test_gray_images_of_color_data(self, npz):
        images = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5, 1)
        samples, labels = fitted(npz(images=images, labels=np.arange(3)), IMAGES).sample(50, seeded(0))
        expected = torch.from_numpy(images[labels]).permute(0, 3, 1, 2).expand(-1, 3, -1, -1) / 127.5 - 1
        torch.testing.assert_close(samples, expected)

    def test_without_labels(self, npz):
        samples, labels = fitted(npz(X=np.zeros((2, 2))), ROWS).sample(9)
        assert samples.shape == (9, 2)
        assert labels.tolist() == [UNKNOWN_LABEL] * 9

    def test_labels_are_ignored_on_request(self, npz):
        synthesizer = StoredSynthesizer(npz(X=np.zeros((2, 2)), labels=np.array([7, 8])), labeled=False)
        synthesizer.fit(None, REAL_LABELS, ROWS)
        assert synthesizer.sample(9)[1].tolist() == [UNKNOWN_LABEL] * 9

    def test_fewer_classes_than_the_data(self, npz):
        _, labels = fitted(npz(X=np.zeros((2, 2)), labels=np.array([1, 1])), ROWS).sample(9)
        assert labels.tolist() == [1] * 9

    @pytest.mark.parametrize(("names", "expected"), [(NAMES, {0: 1, 1: 2}), ((), {0: 0, 1: 1})])
    def test_its_own_class_names_decide(self, npz, names, expected):
        path = npz(
            X=np.array([[0, 0], [1, 1]]), labels=np.array([0, 1]), class_names=np.array(["bee", "cat", "unused"])
        )
        samples, labels = fitted(path, DataSpec((2,), 3, class_names=names)).sample(50, seeded(0))
        assert {(int(row[0]), int(label)) for row, label in zip(samples, labels, strict=True)} == set(expected.items())

    def test_seeds(self, npz):
        synthesizer = fitted(npz(X=np.random.default_rng(0).normal(size=(50, 2))), ROWS)
        first, again, other = (synthesizer.sample(20, seeded(seed))[0] for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_draws_do_not_share_memory_with_the_store(self, npz):
        synthesizer = fitted(npz(X=np.ones((3, 2))), ROWS)
        synthesizer.sample(3)[0].zero_()
        assert (synthesizer.sample(3)[0] == 1).all()


def test_excluded_images(folder):
    synthesizer = StoredSynthesizer(str(folder))
    spec = DataSpec((3, 4, 4), 3, class_names=NAMES)
    synthesizer.fit(None, REAL_LABELS, spec)
    images = torch.tensor([[50.0 * k + j for j in range(2)] for k in range(3)]).flatten()
    excluded = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    excluded[:, 1], excluded[:, 2] = 7, 255
    excluded[:, 0] = torch.tensor([0, 51, 9]).view(-1, 1, 1)
    state = synthesizer.hash_state()
    synthesizer.exclude(excluded)
    synthesizer.fit(None, REAL_LABELS, spec)
    assert synthesizer.num_excluded == 2
    assert synthesizer.hash_state() != state
    reds = (synthesizer.sample(200, seeded(0))[0][:, 0, 0, 0] + 1) * 127.5
    assert set(reds.round().tolist()) == set(images.tolist()) - {0, 51}
    synthesizer.exclude([*excluded, *to_uint8_images(synthesizer.sample(200, seeded(0))[0])])
    with pytest.raises(ConfigurationError, match="got only images of the validation and test split"):
        synthesizer.fit(None, REAL_LABELS, spec)


def test_home_folder(npz, tmp_path, monkeypatch):
    path = npz(X=np.zeros((2, 2)))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fitted(path.replace(str(tmp_path), "~"), ROWS).sample(3)[0].shape == (3, 2)


class TestBadFile:
    def test_missing(self, tmp_path):
        assert "file not found" in error_of(tmp_path / "no.npz", ROWS)

    def test_truncated(self, npz, tmp_path):
        path = npz(X=np.zeros((100, 2)))
        content = (tmp_path / "some.npz").read_bytes()
        (tmp_path / "some.npz").write_bytes(content[:500])
        assert "not a .npz file, or truncated" in error_of(path, ROWS)

    def test_neither_images_nor_rows(self, npz):
        path = npz(samples=np.zeros((2, 2)), y=np.zeros(2))
        assert error_of(path, ROWS) == (
            f"{path}: got the arrays samples, y, expected images uint8 (N, H, W, C) or scaled rows X (N, D)"
        )

    def test_shape_of_other_data(self, npz):
        assert "shape (5,), expected the shape of the data, (2,)" in error_of(npz(X=np.zeros((3, 5))), ROWS)

    def test_size_of_other_images(self, npz):
        assert "shape (3, 8, 8), expected the shape of the data, (3, 4, 5)" in error_of(
            npz(images=np.zeros((3, 8, 8, 3), "u1")), IMAGES
        )

    def test_images_for_rows(self, npz):
        assert "the shape of the data, (2,)" in error_of(npz(images=np.zeros((3, 4, 4, 3), np.uint8)), ROWS)

    def test_float_images(self, npz):
        assert "images: got dtype float64 and values in [0, 0], expected uint8 pixels" in error_of(
            npz(images=np.zeros((3, 4, 5, 3))), IMAGES
        )

    def test_images_of_zeros_and_ones(self, npz):
        message = error_of(npz(images=np.eye(4, 5, dtype="u1").reshape(1, 4, 5, 1).repeat(3, axis=3)), IMAGES)
        assert "images: got uint8 pixels in [0, 1], expected [0, 255]" in message

    def test_class_names_that_the_data_lack(self, npz):
        path = npz(X=np.zeros((2, 2)), labels=np.array([0, 1]), class_names=np.array(["ant", "dog"]))
        message = error_of(path, DataSpec((2,), 3, class_names=NAMES))
        assert "class_names: got 'dog', expected class names of the data set" in message

    def test_class_names_that_are_no_list(self, npz):
        path = npz(X=np.zeros((2, 2)), labels=np.array([0, 0]), class_names=np.array("ant"))
        assert "class_names: got dtype <U3 and shape ()" in error_of(path, DataSpec((2,), 3, class_names=NAMES))

    def test_label_beyond_its_own_class_names(self, npz):
        path = npz(X=np.zeros((2, 2)), labels=np.array([0, 2]), class_names=np.array(["ant", "cat"]))
        assert "label 2" in error_of(path, DataSpec((2,), 3, class_names=NAMES))

    def test_label_beyond_the_classes(self, npz):
        assert "label 3" in error_of(npz(X=np.zeros((2, 2)), labels=np.array([0, 3])), ROWS)

    @pytest.mark.parametrize("labels", [[0], [0.5, 1.0], [-2, 0]])
    def test_labels_that_are_none(self, npz, labels):
        assert ".npz: labels: got " in error_of(npz(X=np.zeros((2, 2)), labels=np.array(labels)), ROWS)

    def test_pickled_objects(self, npz):
        assert "X: got pickled Python objects" in error_of(npz(X=np.array([[{}, 1]], dtype=object)), ROWS)

    def test_a_failed_fit_serves_nothing(self, npz):
        synthesizer = StoredSynthesizer(npz(X=np.zeros((3, 5))))
        with pytest.raises(ConfigurationError):
            synthesizer.fit(None, REAL_LABELS, ROWS)
        with pytest.raises(ConfigurationError, match="StoredSynthesizer: not fitted"):
            synthesizer.sample(1)


def pets(channels=3, size=4, names=NAMES):
    return DataSpec((channels, size, size), len(names), class_names=names)


def pairs(path, spec):
    """The red of the images over 50, which is the class they were made for, and the labels they got."""
    samples, labels = fitted(path, spec).sample(200, seeded(0))
    red = ((samples[:, 0, 0, 0] + 1) * 127.5).round().long()
    return set(zip((red // 50).tolist(), labels.tolist(), strict=True))


class TestFolder:
    def test_classes_by_name(self, folder):
        samples, labels = fitted(folder, pets()).sample(400, seeded(0))
        assert samples.shape == (400, 3, 4, 4)
        red = ((samples[:, 0] + 1) * 127.5).round()
        assert torch.equal(red[:, 0, 0] // 50, labels.float())
        assert torch.allclose(samples[:, 2], torch.ones(()), rtol=1e-5, atol=1e-6)
        assert chisquare(red[:, 0, 0].unique(return_counts=True)[1]).pvalue > 0.01

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (("cat", "bee", "ant"), {(0, 2), (1, 1), (2, 0)}),  # a data set need not sort its classes
            (("aardvark", "ant", "bee", "cat", "dog"), {(0, 1), (1, 2), (2, 3)}),
        ],
    )
    def test_position_does_not_matter(self, folder, names, expected):
        assert pairs(folder, pets(names=names)) == expected

    def test_a_class_may_be_missing(self, folder):
        shutil.rmtree(folder / "bee")
        assert pairs(folder, pets()) == {(0, 0), (2, 2)}

    @pytest.mark.parametrize("names", [(), NAMES, ("0", "1", "2")])
    def test_numbers_as_the_command_writes_them(self, folder, names):
        shutil.rmtree(folder / "bee")
        for k in (0, 2):
            (folder / NAMES[k]).rename(folder / f"{k:03d}")
        assert pairs(folder, DataSpec((3, 4, 4), 3, class_names=names)) == {(0, 0), (2, 2)}

    def test_images_of_no_class(self, folder):
        for name in ("bee", "cat"):
            shutil.rmtree(folder / name)
        (folder / "ant").rename(folder / "samples")  # as the command names the folder of such a generator
        assert pairs(folder, pets()) == {(0, UNKNOWN_LABEL)}
        assert pairs(folder, pets(names=("cat", "samples"))) == {(0, 1)}

    def test_names_of_either_unicode_form(self, folder):
        (folder / "bee").rename(folder / "mu\u0308sli")
        assert pairs(folder, pets(names=("m\u00fcsli", "ant", "cat"))) == {(0, 1), (1, 0), (2, 2)}

    def test_resized_to_the_data(self, folder):
        samples, _ = fitted(folder, pets(1, 8)).sample(4)
        assert samples.shape == (4, 1, 8, 8)

    def test_more_classes_than_the_data(self, folder):
        assert "got 'cat', expected class names" in error_of(folder, pets(names=NAMES[:2]))

    def test_names_without_names_in_the_data(self, folder):
        message = error_of(folder, DataSpec((3, 4, 4), 3))
        assert "got 'ant', 'bee', 'cat', expected the class numbers 0..2" in message

    @pytest.mark.parametrize("shape", [(4,), (2, 4, 4), (4, 4, 4)])
    def test_data_that_no_picture_can_be(self, folder, shape):
        message = error_of(folder, DataSpec(shape, 3))
        assert message == (
            f"{folder}: got an image folder for samples of shape {shape}, expected shape (1 or 3, H, W): "
            "use an .npz file"
        )

    def test_oblong_data(self, folder):
        message = error_of(folder, DataSpec((3, 4, 5), 3, class_names=NAMES))
        assert "shape (3, 4, 4), expected the shape of the data, (3, 4, 5)" in message

    def test_no_class_folders(self, tmp_path):
        assert "got no class folders" in error_of(tmp_path, pets())

    def test_empty_class(self, folder):
        (folder / "dog").mkdir()
        assert f"{folder / 'dog'}: got no images" in error_of(folder, pets(names=(*NAMES, "dog")))

    def test_a_file_that_is_no_image(self, folder):
        (folder / "bee" / "0.png").write_bytes(b"no picture")
        assert "bee/0.png: cannot be read as an image" in error_of(folder, pets())

    def test_a_thin_image(self, folder):
        Image.new("L", (1, 200_000)).save(folder / "bee" / "0.png")
        assert "bee/0.png: got 1x200000 pixels, which become" in error_of(folder, pets(3, 32))

    def test_images_of_zeros_and_ones(self, folder):
        for file in folder.glob("*/*.png"):
            Image.new("L", (4, 4), 1).save(file)
        assert "got uint8 pixels in [0, 1], expected [0, 255]" in error_of(folder, pets())

    def test_images_without_class_folders_are_unlabeled(self, folder):
        samples, labels = fitted(folder / "bee", pets()).sample(50, seeded(0))
        assert labels.unique().tolist() == [UNKNOWN_LABEL]
        assert ((samples[:, 0, 0, 0] + 1) * 127.5).round().unique().tolist() == [50, 51]

    def test_unlabeled_images_in_any_folders(self, folder):
        (folder / "2024" / "may").mkdir(parents=True)
        Image.new("RGB", (6, 8), (250, 7, 255)).save(folder / "2024" / "may" / "a.jpg", quality=100)
        synthesizer = StoredSynthesizer(str(folder), labeled=False)
        synthesizer.fit(None, REAL_LABELS, pets())
        samples, labels = synthesizer.sample(200, seeded(0))
        assert labels.unique().tolist() == [UNKNOWN_LABEL]
        reds = ((samples[:, 0, 0, 0] + 1) * 127.5).round().unique()
        assert len(reds) == 7
        assert reds[:6].tolist() == [0, 1, 50, 51, 100, 101]

    def test_hidden_folders_and_skipped_files(self, folder):
        shutil.copytree(folder / "bee", folder / ".dog")
        (folder / "bee" / "list.txt").touch()
        with pytest.warns(UserWarning, match=r"set: skipped 1 entry that is not an image: bee/list.txt$"):
            assert pairs(folder, pets()) == {(0, 0), (1, 1), (2, 2)}


@pytest.mark.parametrize("names", [(), tuple("abcdefghij")])
def test_the_labels_of_what_the_command_wrote(tmp_path, names):
    """Five samples of a generator of ten classes: only every second class has a folder."""
    given = torch.arange(5) * 2
    images = (given * 20).to(torch.uint8).view(5, 1, 1, 1).expand(5, 1, 8, 8).contiguous()
    write_images(images, given, tmp_path / "generated")
    samples, labels = fitted(tmp_path / "generated", DataSpec((1, 8, 8), 10, class_names=names)).sample(100, seeded(0))
    assert torch.equal(((samples[:, 0, 0, 0] + 1) * 127.5 / 20).round().long(), labels)
