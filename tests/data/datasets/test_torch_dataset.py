from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset, SubsetRandomSampler, WeightedRandomSampler
from torch.utils.data import TensorDataset as PairDataset

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import DatasetSplits, TorchDataset
from ganmc_lightning.exceptions import ConfigurationError

LEVELS = torch.arange(20, dtype=torch.uint8) * 12
PIXELS = LEVELS.view(20, 1, 1, 1).repeat(1, 3, 4, 4)
LABELS = torch.arange(20) % 2


def load(*arguments: Any, **keywords: Any) -> DatasetSplits:
    return TorchDataset(*arguments, **keywords).load(Path())


def levels(splits: DatasetSplits) -> list[int]:
    return torch.cat([splits.train.inputs, splits.test.inputs])[:, 0, 0, 0].sort().values.tolist()


@pytest.mark.parametrize(
    "images",
    [
        list(PIXELS),
        list(PIXELS / 255),
        list((PIXELS / 255).double()),
        list(PIXELS / 127.5 - 1),
        [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in PIXELS],
    ],
    ids=["uint8", "unit", "double", "symmetric", "pil"],
)
def test_images_of_any_type_are_equal(images: list[Any]) -> None:
    splits = load([(image, int(label)) for image, label in zip(images, LABELS, strict=True)])
    assert splits.train.inputs.dtype == torch.uint8
    assert splits.train.inputs.is_contiguous()
    assert levels(splits) == LEVELS.tolist()
    assert splits.train.labels.tolist() == (splits.train.inputs[:, 0, 0, 0] // 12 % 2).tolist()
    assert (splits.num_classes, len(splits.train), len(splits.test)) == (2, 16, 4)


def test_splits_and_class_names() -> None:
    data = PairDataset(PIXELS, LABELS)
    parts = [Subset(data, range(k, k + 5)) for k in (0, 5, 10)]
    splits = load(parts[0], parts[1], parts[2], class_names=["even", "odd"])
    assert splits.class_names == ("even", "odd")
    assert splits.validation is not None
    firsts = [int(part.inputs[0, 0, 0, 0]) for part in (splits.train, splits.test, splits.validation)]
    assert firsts == [LEVELS[k].item() for k in (0, 5, 10)]


def test_trains_a_data_module() -> None:
    data = GANAugmentedDataModule(TorchDataset(PairDataset(PIXELS, LABELS)), batch_size=8)
    data.prepare_data()
    data.setup("fit")
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert batch.inputs.shape == (8, 3, 4, 4)
    assert batch.inputs.abs().max() <= 1


@pytest.mark.parametrize(
    "arguments", [{"shuffle": True, "drop_last": True}, {"sampler": SubsetRandomSampler(range(20))}]
)
def test_loaders_are_read_completely_and_in_order(arguments: dict[str, Any]) -> None:
    loader = DataLoader(PairDataset(PIXELS, LABELS), batch_size=6, **arguments)
    state = torch.get_rng_state()
    splits, direct = load(loader), load(PairDataset(PIXELS, LABELS))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(splits.train.inputs, direct.train.inputs)
    assert torch.equal(splits.test.inputs, direct.test.inputs)


def test_sampler_of_a_loader_selects_the_samples() -> None:
    loader = DataLoader(PairDataset(PIXELS, LABELS), batch_size=4, sampler=SubsetRandomSampler(range(4, 16)))
    assert levels(load(loader)) == LEVELS[4:16].tolist()


def test_batch_sampler_of_a_loader() -> None:
    loader = DataLoader(PairDataset(PIXELS, LABELS), batch_sampler=[[5, 4], [0, 1, 2, 3], [8, 9, 10, 11]])
    assert levels(load(loader)) == LEVELS[[0, 1, 2, 3, 4, 5, 8, 9, 10, 11]].tolist()


def test_collate_function_of_a_loader() -> None:
    def collate(samples: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[int]]:
        return [image + 3 for image, _ in samples], [int(label) for _, label in samples]

    assert levels(load(DataLoader(PairDataset(PIXELS, LABELS), 8, collate_fn=collate))) == (LEVELS + 3).tolist()


@pytest.mark.parametrize("label", [np.int64(1), np.array([1]), torch.tensor(1), torch.tensor([1])])
def test_labels_of_other_types(label: Any) -> None:
    samples = [(image, label if k % 2 else 0) for k, image in enumerate(PIXELS)]
    assert load(samples).train.labels.bincount().tolist() == [8, 8]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield PIXELS[0], 0


def pairs(images: Any, labels: Any = tuple(k % 2 for k in range(20))) -> list[Any]:
    return list(zip(images, labels, strict=True))


NORMALIZED = (PIXELS / 255 - 0.13) / 0.31


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pairs(NORMALIZED), r"train: got float images with values in \[-0\.4194, 2\.4\d*\], .* remove Normalize"),
        (
            pairs(PIXELS.float()),
            r"values in \[0, 228\], expected \[0, 1\] or uint8; convert them with \.to\(torch.uint8\)",
        ),
        (pairs(PIXELS / 2000 - 0.05), r"fits neither \[0, 1\] nor \[-1, 1\]; expected uint8"),
        (pairs(torch.zeros(20, 3, 4, 4)), r"values in \[0, 0\], which fits neither"),
        (pairs(PIXELS // 200), r"train: got uint8 pixels in \[0, 1\], expected \[0, 255\]"),
        (pairs(PIXELS.long()), r"train\[0\]: got an image of torch.int64, expected uint8"),
        (pairs(PIXELS[:, :, 0]), r"train\[0\]: got an image of shape \(3, 4\), expected \(C, H, W\)"),
        (
            pairs(PIXELS.permute(0, 2, 3, 1).repeat(1, 2, 1, 1)),
            r"got an image of shape \(8, 4, 3\), expected \(C, H, W\)",
        ),
        (pairs(PIXELS.numpy()), r"train\[0\]: got ndarray for the image, expected \(image, label\)"),
        (pairs([Image.new("RGBA", (4, 4))] * 20), r"train\[0\]: got a PIL image of mode RGBA, expected L or RGB"),
        (pairs([*PIXELS[:19], PIXELS[0, :, :3]]), r"train\[19\]: got an image \(3, 3, 4\) .*expected \(3, 4, 4\)"),
        (pairs([Image.new("RGB", (4, 4)), *[Image.new("L", (4, 4))] * 19]), r"train\[1\]: .*\(1, 4, 4\).*convert"),
        ([{"image": PIXELS[0], "label": 0}], r"train\[0\]: got dict, expected \(image, label\)"),
        ([(PIXELS[0], 0, 1)], r"train\[0\]: got tuple, expected \(image, label\)"),
        (pairs(PIXELS, [0.5] * 20), r"train\[0\]: got the label 0\.5 \(float\), expected an integer"),
        (pairs(PIXELS, ["cat"] * 20), r"train\[0\]: got the label cat \(str\)"),
        (pairs(PIXELS, [-1] * 20), r"train\[0\]: got the label -1 \(int\)"),
        (pairs(PIXELS, [torch.tensor([0.0, 1.0])] * 20), r"train\[0\]: got the label tensor\(\[0\., 1\.\]\)"),
        (pairs(PIXELS, [0, 2] * 10), "got labels up to 2 without class 1"),
        (pairs(PIXELS, [0] * 20), "got 1 class, expected at least 2"),
        ([], "train: got no samples, expected at least one"),
        (
            DataLoader(PairDataset(PIXELS, LABELS, LABELS)),
            r"train: got batches of type list, expected \(images, labels\)",
        ),
        (
            DataLoader(PairDataset(PIXELS, LABELS), sampler=WeightedRandomSampler([1.0] * 20, 60)),
            "train: got a sampler that repeats samples",
        ),
    ],
)
def test_invalid_samples_raise(data: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(data)
    assert "\n" not in str(caught.value)


def test_range_of_the_first_images_is_that_of_all() -> None:
    unit = pairs(PIXELS / 255)
    with pytest.raises(
        ConfigurationError, match=r"test: got values in \[-1, 0.788\d\], expected \[0, 1\] as the first"
    ):
        load(unit, pairs(PIXELS / 127.5 - 1))
    broken = PIXELS / 255
    broken[3] = torch.nan
    with pytest.raises(ConfigurationError, match=r"test: got values in .*nan"):
        load(unit, pairs(broken))


@pytest.mark.parametrize("data", [Stream(), DataLoader(Stream())])
def test_iterable_datasets_raise(data: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"train: got the iterable-style data set Stream, .*pass list\(dataset\)"
    ):
        TorchDataset(data)


def test_invalid_combinations_raise() -> None:
    data = PairDataset(PIXELS, LABELS)
    with pytest.raises(ConfigurationError, match="class_names: got 3 names, expected 2"):
        load(data, class_names=["a", "b", "c"])
    with pytest.raises(ConfigurationError, match="test: got validation samples without test samples"):
        TorchDataset(data, validation=data)
    with pytest.raises(ConfigurationError, match="train: got a DataLoader with batch_size=None"):
        TorchDataset(DataLoader(data, batch_size=None))
    with pytest.raises(ConfigurationError, match="got label 2 in the test split, expected a class of the training"):
        load(data, pairs(PIXELS, [2] * 20))
