from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ganmc_lightning.data.datasets import Digits, NpzFile, ResizedDataset, TableFile
from ganmc_lightning.exceptions import ConfigurationError


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    arrays = {"train_images": random.integers(0, 256, (6, 8, 8, 3), np.uint8), "train_labels": np.arange(6) % 2}
    arrays |= {"test_images": random.integers(0, 256, (3, 8, 8, 3), np.uint8), "test_labels": np.array([1, 0, 1])}
    np.savez(tmp_path / "photos.npz", **arrays, class_names=np.array(["cat", "dog"]))
    return NpzFile(str(tmp_path / "photos.npz")), arrays


@pytest.mark.parametrize("size", [4, 12, 16])
def test_resizes_as_pillow_does(photos, tmp_path, size):
    dataset, arrays = photos
    resized = ResizedDataset(dataset, size)
    resized.prepare(tmp_path)
    splits = resized.load(tmp_path)
    assert splits.train.sample_shape == splits.test.sample_shape == (3, size, size)
    assert splits.train.labels.tolist() == arrays["train_labels"].tolist()
    assert splits.class_names == ("cat", "dog")
    assert splits.num_classes == 2
    for k in range(3):
        expected = Image.fromarray(arrays["test_images"][k]).resize((size, size), Image.Resampling.BILINEAR)
        difference = splits.test.inputs[k].permute(1, 2, 0).numpy().astype(int) - np.asarray(expected)
        assert abs(difference).max() <= 1


def test_a_built_in_data_set_is_cached(tmp_path):
    resized = ResizedDataset(ResizedDataset(Digits(), 16), 4)
    resized.prepare(tmp_path)
    for name in ("digits.npz", "digits_16.npz"):
        (tmp_path / name).unlink(missing_ok=True)
    resized.prepare(tmp_path)
    assert not (tmp_path / "digits.npz").exists()
    assert resized.load(tmp_path).train.sample_shape == (1, 4, 4)


def test_files_of_the_user_may_change(photos, tmp_path):
    """Two files of one name, or new contents of a file, have their own images."""
    dataset, arrays = photos
    resized = ResizedDataset(ResizedDataset(dataset, 16), 4)
    resized.prepare(tmp_path)
    assert resized.load(tmp_path).validation is None
    dark = {name: array // 8 if array.ndim == 4 else array for name, array in arrays.items()}
    np.savez(dataset.path, **dark, val_images=dark["test_images"] + 1, val_labels=dark["test_labels"])
    resized.prepare(tmp_path)
    splits = resized.load(tmp_path)
    assert splits.train.inputs.max() < 32
    assert len(splits.validation) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos.npz"]


def test_rows_have_no_size(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,y\n" + "1,2,0\n3,4,1\n" * 10)
    pytest.importorskip("pandas", reason="tables are read with pandas")
    with pytest.raises(ConfigurationError, match="expected a data set of images in memory"):
        ResizedDataset(TableFile(str(tmp_path / "rows.csv"), "y"), 8).load(tmp_path)
    with pytest.raises(ConfigurationError, match="image_size"):
        ResizedDataset(TableFile(str(tmp_path / "rows.csv"), "y"), 0)
