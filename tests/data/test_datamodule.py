from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from ganmc_lightning.batch import Batch, DataSpec, to_float_images
from ganmc_lightning.data import GANAugmentedDataModule, RandomCropFlip
from ganmc_lightning.data.datasets import (
    DatasetSource,
    DatasetSplits,
    ImageFileDataset,
    NpzFile,
    TensorDataset,
)
from ganmc_lightning.data.splits import stratified_split
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer, Synthesizer

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]


class Marked(Synthesizer):
    """Return samples that differ from all images: pixels of 0.5 + noise / 10, class 1."""

    fitted_with: tuple[Tensor | None, Tensor, DataSpec] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        self.fitted_with = (inputs, labels, spec)
        self.shape = spec.sample_shape

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        noise = torch.rand(n, *self.shape, generator=generator)
        return 0.5 + noise / 10, torch.ones(n, dtype=torch.long)


class Recorder(LightningModule):
    """Record every batch without training."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[str, list[Batch]] = {"train": [], "val": [], "test": [], "predict": []}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen["train"].append(batch)
        return self.weight * 1.0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.seen["val"].append(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.seen["test"].append(batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen["predict"].append(batch)
        return batch.labels

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loaded(data: GANAugmentedDataModule, stage: str = "fit") -> GANAugmentedDataModule:
    data.prepare_data()
    data.setup(stage)
    return data


def stream(data: GANAugmentedDataModule, steps: int) -> list[Batch]:
    """Return the first training batches as in a trainer."""
    batches = []
    loader = data.train_dataloader()
    for epoch in range(100):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            batches.append(data.on_after_batch_transfer(batch, 0))
            if len(batches) == steps:
                return batches
    raise AssertionError("never reached")


def same(one: list[Batch], other: list[Batch]) -> bool:
    return all(
        torch.equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left[:3], right[:3], strict=True)
    )


def rows_of(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


# -- parts ---------------------------------------------------------------------------------------------------


def test_splits_are_disjoint_stratified_and_equal_in_every_run(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []
    for seed in ("0", "7"):
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        data = loaded(make_data(validation_fraction=0.25))
        parts.append([data.samples(part) for part in ("train", "val", "test")])
    for (inputs, labels), (other_inputs, other_labels) in zip(*parts, strict=True):
        assert torch.equal(inputs, other_inputs)
        assert torch.equal(labels, other_labels)
    train, val, test = parts[0]
    assert [len(part[1]) for part in parts[0]] == [90, 30, 40]
    assert train[1].bincount().tolist() == [30, 30, 30]
    assert val[1].bincount().tolist() == [10, 10, 10]
    assert not rows_of(train[0]) & rows_of(val[0])
    assert not (rows_of(train[0]) | rows_of(val[0])) & rows_of(test[0])


def test_without_validation_samples_all_are_trained_on_and_validation_batches_are_test_batches(
    make_data: MakeData,
) -> None:
    with_split, data = loaded(make_data()), loaded(make_data(validation_fraction=0))
    everything = rows_of(with_split.samples("train")[0]) | rows_of(with_split.samples("val")[0])
    assert rows_of(data.samples("train")[0]) == everything
    assert torch.equal(data.samples("test")[0], with_split.samples("test")[0])
    assert (with_split.validation_split, data.validation_split) == ("val", "test")
    for val, test in zip(data.val_dataloader(), data.test_dataloader(), strict=True):
        assert torch.equal(val[0], test[0])
    with pytest.raises(
        ConfigurationError, match=r"data\.validation_fraction: got 0, which leaves no validation samples"
    ):
        data.samples("val")


def test_train_size_keeps_the_validation_split(make_data: MakeData) -> None:
    whole, small = loaded(make_data()), loaded(make_data(train_size=15))
    assert small.samples("train")[1].bincount().tolist() == [5, 5, 5]
    assert rows_of(small.samples("train")[0]) <= rows_of(whole.samples("train")[0])
    assert torch.equal(small.samples("val")[0], whole.samples("val")[0])


@pytest.mark.parametrize(("train_size", "expected"), [(None, 30), (12, 12)])
def test_validation_split_of_the_data_set_is_used(
    make_data: MakeData, data_root: Path, tmp_path: Path, train_size: int | None, expected: int
) -> None:
    with np.load(data_root / "tiny.npz") as archive:
        arrays = dict(archive)
    for name in ("images", "labels"):
        arrays[f"val_{name}"], arrays[f"train_{name}"] = np.split(arrays[f"train_{name}"], [90])
    np.savez(tmp_path / "data.npz", **arrays)
    data = make_data(dataset=NpzFile(tmp_path / "data.npz"), train_size=train_size, validation_fraction=0.5)
    data.setup()
    images, labels = data.samples("val")
    assert torch.equal(images.permute(0, 2, 3, 1), torch.from_numpy(arrays["val_images"]))
    assert torch.equal(labels, torch.from_numpy(arrays["val_labels"]))
    assert len(data.samples("train")[1]) == expected
    assert len(data.samples("test")[1]) == 40


@pytest.mark.parametrize("train_size", [2, 109])
def test_train_size_out_of_range(make_data: MakeData, train_size: int) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"data\.train_size: got {train_size}, expected a value in \[3, 108\] for tiny"
    ):
        loaded(make_data(train_size=train_size))


def test_spec(make_data: MakeData) -> None:
    data = make_data()
    with pytest.raises(RuntimeError, match="setup"):
        _ = data.spec
    spec = loaded(data).spec
    assert spec[:3] == DataSpec((1, 8, 8), 3)[:3]
    pixels = data.samples("train")[0].double() / 255
    assert spec.statistics is not None
    torch.testing.assert_close(spec.statistics.mean, pixels.mean().view(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p_fake": -0.1}, r"data\.p_fake: got -0\.1, expected a value in \[0, 1\]"),
        ({"p_fake": 1.1, "synthesizer": Marked()}, r"data\.p_fake: got .*, expected a value in \[0, 1\]"),
        ({"p_fake": float("nan")}, r"data\.p_fake: got .*, expected a value in \[0, 1\]"),
        ({"p_fake": 0.5}, r"data\.synthesizer: got none"),
        ({"batch_size": 0}, r"data\.batch_size"),
        ({"validation_fraction": -0.1}, r"data\.validation_fraction: got -0\.1, expected a value in \[0, 1\)"),
        ({"validation_fraction": 1.0}, r"data\.validation_fraction"),
    ],
)
def test_bad_arguments(make_data: MakeData, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_data(**arguments)


def test_root_is_the_argument_then_the_environment(make_data: MakeData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANMC_DATA", raising=False)
    assert make_data(root=None).root == Path("data")
    monkeypatch.setenv("GANMC_DATA", "/somewhere")
    assert make_data(root=None).root == Path("/somewhere")
    assert make_data(root="/else").root == Path("/else")
    assert make_data(root="~/else").root == Path.home() / "else"


# -- rows ----------------------------------------------------------------------------------------------------


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    X, y = rng.normal(5, [1, 20, 0], (90, 3)), np.arange(90) % 2
    np.savez(tmp_path / "rows.npz", X_train=X, y_train=y, X_test=X[:20] * 3, y_test=y[:20])
    return tmp_path / "rows.npz"


def test_scaler_is_fitted_only_to_the_training_split(make_data: MakeData, rows_file: Path) -> None:
    data = loaded(make_data(dataset=NpzFile(rows_file), train_size=30))
    stored = NpzFile(rows_file).load(Path()).train.inputs
    train, val = data.samples("train")[0], data.samples("val")[0]
    assert train.dtype == torch.float32
    torch.testing.assert_close(train[:, :2].mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(train[:, :2].std(dim=0, correction=0), torch.ones(2), atol=1e-5, rtol=0)
    assert (train[:, 2] == 0).all()
    state = data.state_dict()["scaler"]
    kept = train * state["std"] + state["mean"]  # back in the units of the file
    for row in kept:
        assert (stored - row).abs().sum(dim=1).min() < 1e-3
    assert val.mean(dim=0).abs().max() > 1e-3  # its own statistics would give 0


def test_rows_are_served_scaled_and_never_augmented(make_data: MakeData, rows_file: Path) -> None:
    data = loaded(make_data(dataset=NpzFile(rows_file), batch_size=8))
    batch = stream(data, 1)[0]
    train = {row.numpy().tobytes() for row in data.samples("train")[0]}
    assert rows_of(batch.inputs) <= train
    data = loaded(make_data(dataset=NpzFile(rows_file), batch_size=8, augment=RandomCropFlip()))
    with pytest.raises(ConfigurationError, match=r"data\.augment: got samples of shape"):
        stream(data, 1)


def test_weights_go_with_the_rows_and_are_1_on_average(make_data: MakeData, tmp_path: Path) -> None:
    X, y = np.random.default_rng(0).normal(5, [1, 20, 3], (90, 3)), np.arange(90) % 2
    np.savez(tmp_path / "w.npz", X=X, y=y, sample_weight=np.exp(X[:, 0]))
    data = loaded(make_data(dataset=NpzFile(tmp_path / "w.npz"), batch_size=8, p_fake=0.25, synthesizer=Marked()))
    assert data.spec.weighted
    state = data.state_dict()["scaler"]

    def first_column(rows: Tensor) -> Tensor:
        return rows[:, 0].double() * state["std"][0] + state["mean"][0]

    mean = first_column(data.samples("train")[0]).exp().mean()
    for batch in stream(data, 5):
        assert batch.weights is not None
        assert batch.synthetic.sum() == 2
        assert (batch.weights[:2] == 1).all()
        due = first_column(batch.inputs[2:]).exp() / mean
        torch.testing.assert_close(batch.weights[2:].double(), due, rtol=1e-4, atol=1e-6)


def test_without_weights_none_are_sent(make_data: MakeData, rows_file: Path) -> None:
    data = loaded(make_data(dataset=NpzFile(rows_file)))
    assert not data.spec.weighted
    assert stream(data, 1)[0].weights is None


def test_checkpoint_names_the_columns(make_data: MakeData, rows_file: Path) -> None:
    schema = loaded(make_data(dataset=NpzFile(rows_file))).state_dict()["schema"]
    assert [name for name, _, _ in schema["fields"]] == ["x0", "x1", "x2"]
    assert loaded(make_data()).state_dict()["schema"] is None


# -- the stream ----------------------------------------------------------------------------------------------


def test_images_are_decoded_to_the_range_of_networks(make_data: MakeData, data_root: Path) -> None:
    data = loaded(make_data(batch_size=108))
    batch = stream(data, 1)[0]
    assert batch.inputs.dtype == torch.float32
    assert rows_of(batch.inputs) == rows_of(data.samples("train")[0].float() * (2 / 255) - 1)
    assert -1 <= batch.inputs.min() < batch.inputs.max() <= 1
    assert not batch.synthetic.any()
    stored = np.load(data_root / "tiny.npz")
    pairs = {
        (image.tobytes(), label) for image, label in zip(stored["train_images"], stored["train_labels"], strict=True)
    }
    got = ((batch.inputs + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert all((image.numpy().tobytes(), label.item()) in pairs for image, label in zip(got, batch.labels, strict=True))


def test_share_of_synthetic_samples(make_data: MakeData) -> None:
    data = loaded(make_data(synthesizer=Marked(), p_fake=0.3, batch_size=7))
    batches = stream(data, 50)
    counts = [int(batch.synthetic.sum()) for batch in batches]
    assert set(counts) == {2, 3}
    assert sum(counts) == 105
    real = rows_of(to_float_images(data.samples("train")[0]))
    for batch in batches:
        assert len(batch.labels) == 7
        assert (batch.inputs[batch.synthetic] >= 0.5).all()
        assert (batch.labels[batch.synthetic] == 1).all()
        assert rows_of(batch.inputs[~batch.synthetic]) <= real


def test_real_samples_of_an_epoch_are_not_repeated(make_data: MakeData) -> None:
    data = loaded(make_data(synthesizer=Marked(), p_fake=0.5, batch_size=9))
    batches = stream(data, 12)  # one epoch of 108 samples
    real = torch.cat([batch.inputs[~batch.synthetic] for batch in batches])
    assert len(real) == len(rows_of(real)) == 54


def test_all_synthetic(make_data: MakeData) -> None:
    data = loaded(make_data(synthesizer=Marked(), p_fake=1.0, augment=RandomCropFlip()))
    assert all(batch.synthetic.all() and (batch.inputs >= 0.5).all() for batch in stream(data, 6))


def test_without_synthetic_samples_the_synthesizer_is_not_asked(make_data: MakeData) -> None:
    synthesizer = Marked()
    data = loaded(make_data(synthesizer=synthesizer, p_fake=0.0))
    assert not any(batch.synthetic.any() for batch in stream(data, 6))
    assert synthesizer.fitted_with is None


def test_synthesizer_is_fitted_only_to_training_samples(make_data: MakeData) -> None:
    synthesizer = Marked()
    data = loaded(make_data(synthesizer=synthesizer, p_fake=0.5))
    assert synthesizer.fitted_with is not None
    inputs, labels, spec = synthesizer.fitted_with
    assert inputs is data.samples("train")[0]
    assert labels is data.samples("train")[1]
    assert spec == data.spec


def test_synthesizer_is_not_fitted_for_a_test(make_data: MakeData) -> None:
    synthesizer = Marked()
    loaded(make_data(synthesizer=synthesizer, p_fake=0.5), stage="test")
    assert synthesizer.fitted_with is None


def test_batch_mode(make_data: MakeData) -> None:
    data = loaded(make_data(synthesizer=Marked(), p_fake=0.4, mix_mode="per_batch", batch_size=4))
    shares = [batch.synthetic.float().mean().item() for batch in stream(data, 1500)]
    assert set(shares) == {0.0, 1.0}
    assert abs(sum(shares) / 1500 - 0.4) < 4 * (0.24 / 1500) ** 0.5


def test_only_real_samples_are_augmented(make_data: MakeData) -> None:
    arguments = {"synthesizer": Marked(), "p_fake": 0.5, "batch_size": 10}
    plain = stream(loaded(make_data(**arguments)), 3)
    augmented = stream(loaded(make_data(augment=RandomCropFlip(padding=2), **arguments)), 3)
    for one, other in zip(plain, augmented, strict=True):
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.inputs[one.synthetic], other.inputs[other.synthetic])
        assert not torch.equal(one.inputs[~one.synthetic], other.inputs[~other.synthetic])


@pytest.mark.parametrize("mix_mode", ["per_sample", "per_batch"])
def test_stream_is_a_function_of_seed_and_step(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch, mix_mode: str
) -> None:
    def make() -> GANAugmentedDataModule:
        return loaded(
            make_data(
                synthesizer=JitterSynthesizer(), p_fake=0.5, mix_mode=mix_mode, augment=RandomCropFlip(), batch_size=9
            )
        )

    first = stream(make(), 30)
    torch.manual_seed(99)  # whatever else draws random numbers
    assert same(stream(make(), 30), first)
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert not same(stream(make(), 30), first)


def test_resumed_stream_goes_on(make_data: MakeData) -> None:
    def make() -> GANAugmentedDataModule:
        return loaded(make_data(synthesizer=JitterSynthesizer(), p_fake=0.3, augment=RandomCropFlip(), batch_size=9))

    whole, before, after = make(), make(), make()
    real = list(whole.train_dataloader())[:8]
    batches = [whole.augment_and_mix(*batch) for batch in real]
    first = [before.augment_and_mix(*batch) for batch in real[:5]]
    after.load_state_dict(before.state_dict())
    assert same(first + [after.augment_and_mix(*batch) for batch in real[5:]], batches)


def test_samples_differ_from_step_to_step(make_data: MakeData) -> None:
    data = loaded(make_data(synthesizer=Marked(), p_fake=0.5, batch_size=8))
    drawn = torch.cat([batch.inputs[batch.synthetic] for batch in stream(data, 20)])
    assert len(rows_of(drawn)) == len(drawn)


# -- with a trainer ------------------------------------------------------------------------------------------


def test_validation_and_test_are_neither_mixed_nor_augmented(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    data = make_data(synthesizer=Marked(), p_fake=0.5, augment=RandomCropFlip(), batch_size=5)
    recorder, trainer = Recorder(), make_trainer(max_epochs=1)
    trainer.fit(recorder, datamodule=data)
    steps = data.step
    trainer.validate(recorder, datamodule=data, verbose=False)
    trainer.test(recorder, datamodule=data, verbose=False)
    trainer.predict(recorder, datamodule=data)
    assert steps == data.step == 21  # only training moves the stream on
    assert all(batch.synthetic.any() for batch in recorder.seen["train"])
    val, test = data.samples("val"), data.samples("test")
    for part, (inputs, labels) in {"val": (torch.cat([val[0]] * 2), torch.cat([val[1]] * 2)), "test": test}.items():
        batches = recorder.seen[part]
        assert torch.equal(torch.cat([batch.inputs for batch in batches]), to_float_images(inputs))
        assert torch.equal(torch.cat([batch.labels for batch in batches]), labels)
        assert not torch.cat([batch.synthetic for batch in batches]).any()
    assert same(recorder.seen["predict"], recorder.seen["test"])


def test_fit_never_uses_the_test_split(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    class Untouchable(TensorDataset):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError("the test part was touched")

    data = loaded(make_data(synthesizer=JitterSynthesizer(), p_fake=0.5))
    data._loaded.splits["test"] = Untouchable.__new__(Untouchable)
    make_trainer(max_epochs=2).fit(Recorder(), datamodule=data)


def test_the_trainer_serves_the_stream_of_the_data_module(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    def make() -> GANAugmentedDataModule:
        return make_data(synthesizer=JitterSynthesizer(), p_fake=0.5, augment=RandomCropFlip(), batch_size=9)

    recorder = Recorder()
    make_trainer(max_epochs=3).fit(recorder, datamodule=make())
    assert same(recorder.seen["train"], stream(loaded(make()), 36))


class Files(DatasetSource):
    """Images read from files one by one, as for ImageNet."""

    name = "files"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, root: Path) -> None:
        for k in range(20):
            Image.new("RGB", (4, 4), (k * 10, 0, 0)).save(self.folder / f"{k}.png")

    def load(self, root: Path) -> DatasetSplits:
        data = ImageFileDataset(self.folder, [f"{k}.png" for k in range(20)], torch.arange(20) % 2, 4, 4)
        return DatasetSplits(data.subset(torch.arange(12)), data.subset(torch.arange(12, 20)), 2)


def test_samples_from_files_are_processed_equally(tmp_path: Path, make_trainer: MakeTrainer) -> None:
    data = GANAugmentedDataModule(
        Files(tmp_path), synthesizer=Marked(), p_fake=0.5, batch_size=4, validation_fraction=0.2
    )
    recorder, trainer = Recorder(), make_trainer(max_epochs=2)
    trainer.fit(recorder, datamodule=data)
    trainer.test(recorder, datamodule=data, verbose=False)
    trainer.predict(recorder, datamodule=data)
    kept, held_out = stratified_split(torch.arange(12) % 2, 0.2, 0)
    assert data.spec[:3] == DataSpec((3, 4, 4), 2)[:3]
    assert [int(batch.synthetic.sum()) for batch in recorder.seen["train"]] == [2] * 4
    real = torch.cat([batch.inputs[~batch.synthetic] for batch in recorder.seen["train"]])
    assert set(((real[:, 0, 0, 0] + 1) * 12.75).round().int().tolist()) <= set(kept.tolist())
    for part, index in {"val": torch.cat([held_out] * 2), "test": torch.arange(12, 20)}.items():
        inputs = torch.cat([batch.inputs for batch in recorder.seen[part]])
        assert torch.equal(((inputs[:, 0, 0, 0] + 1) * 12.75).round().long(), index)
    assert same(recorder.seen["predict"], recorder.seen["test"])
    with pytest.raises(ConfigurationError, match="files is read from files, expected data in memory"):
        data.samples("train")
    assert isinstance(data.synthesizer, Marked)
    assert data.synthesizer.fitted_with is not None
    assert data.synthesizer.fitted_with[0] is None
