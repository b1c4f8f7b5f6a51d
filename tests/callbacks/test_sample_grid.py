from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from ganmc_lightning.callbacks import SampleGrid
from ganmc_lightning.callbacks.sample_grid import sample_per_class
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.image_grid import save_image_grid
from ganmc_lightning.modules import ACGANModule
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    Generator,
    TabularDiscriminator,
    TabularGenerator,
)


class Flat(Generator):
    """An image of one gray level: the class, or without classes the sign of the first latent."""

    def __init__(self, num_classes: int, channels: int = 1) -> None:
        super().__init__(4, num_classes, (channels, 3, 5))
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert not self.training
        level = latents[:, 0].sign() if labels is None else labels / 10
        return level.view(-1, 1, 1, 1).expand(-1, *self.sample_shape)


def test_one_row_per_class() -> None:
    generator = Flat(num_classes=3)
    images = sample_per_class(generator, 4, torch.device("cpu"))
    assert images.shape == (12, 1, 3, 5)
    for label in range(3):
        assert images[4 * label : 4 * label + 4].unique().tolist() == pytest.approx([label / 10])
    assert generator.training  # as before


def test_ten_rows_without_classes_and_fixed_latents() -> None:
    generator = Flat(num_classes=0, channels=3)
    torch.manual_seed(1)
    images = sample_per_class(generator, 2, torch.device("cpu"))
    state = torch.get_rng_state()
    assert images.shape == (20, 3, 3, 5)
    torch.manual_seed(2)
    assert torch.equal(sample_per_class(generator, 2, torch.device("cpu")), images)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_images_of_a_run(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    trainer = make_trainer(max_epochs=4, check_val_every_n_epoch=2, callbacks=[SampleGrid(columns=5)])
    trainer.fit(module, make_data())
    paths = sorted((tmp_path / "samples").iterdir())
    assert [path.name for path in paths] == ["epoch_0002.png", "epoch_0004.png"]
    first, last = (path.read_bytes() for path in paths)
    assert first != last
    save_image_grid(sample_per_class(module.generator, 5, torch.device("cpu")), 5, tmp_path / "expected.png")
    assert last == (tmp_path / "expected.png").read_bytes()


@pytest.mark.parametrize(("channels", "saved"), [(2, True), (4, True), (5, False)])
def test_channels(make_trainer: Callable[..., Trainer], tmp_path: Path, channels: int, saved: bool) -> None:
    """PNG files have at most four channels; a generator of more can be trained too."""
    module, trainer = LightningModule(), make_trainer()
    module.generator = Flat(num_classes=3, channels=channels)
    trainer.state.fn = TrainerFn.FITTING
    SampleGrid(columns=2).on_validation_epoch_end(trainer, module)
    assert (tmp_path / "samples" / "epoch_0001.png").is_file() is saved


class RecordingWandb(WandbLogger):
    """A W&B logger that records the logged images and needs no account."""

    def __init__(self) -> None:
        self.images: list[tuple[str, list[str], int | None, bool]] = []

    name = version = save_dir = None

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        self.images.append((key, images, step, all(Path(path).is_file() for path in images)))

    def log_metrics(self, metrics: Any, step: int | None = None) -> None: ...

    def log_hyperparams(self, params: Any) -> None: ...

    def log_graph(self, model: Any) -> None: ...

    def save(self) -> None: ...

    def finalize(self, status: str) -> None: ...

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None: ...


def test_images_are_logged_to_wandb(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    logger, steps = RecordingWandb(), []
    count = LambdaCallback(on_validation_epoch_end=lambda trainer, _: steps.append(trainer.global_step))
    trainer = make_trainer(
        max_epochs=2,
        logger=[CSVLogger(tmp_path), logger],
        callbacks=[SampleGrid(columns=2), count],
        log_every_n_steps=1,
    )
    trainer.fit(module, make_data())
    paths = [str(tmp_path / "samples" / f"epoch_000{epoch}.png") for epoch in (1, 2)]
    assert logger.images == [("samples", [path], step, True) for path, step in zip(paths, steps, strict=True)]
    assert 0 < steps[0] < steps[1] == trainer.global_step


def test_generators_of_rows_are_ignored(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    np.savez(tmp_path / "rows.npz", X_train=rows, y_train=np.arange(40) % 2, X_test=rows, y_test=np.arange(40) % 2)
    module = ACGANModule(TabularGenerator(2, 2, 4, (8,)), TabularDiscriminator(2, 2, (8,)))
    logger = RecordingWandb()
    trainer = make_trainer(max_epochs=1, logger=logger, callbacks=[SampleGrid()], log_every_n_steps=1)
    trainer.fit(module, make_data(dataset=NpzFile(tmp_path / "rows.npz")))
    assert trainer.current_epoch == 1
    assert not (tmp_path / "samples").exists()
    assert logger.images == []


def test_two_grids_are_refused(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer]
) -> None:
    """The second would overwrite the files of the first."""
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    trainer = make_trainer(max_epochs=1, callbacks=[SampleGrid(), SampleGrid(columns=2)])
    with pytest.raises(ConfigurationError, match=r"trainer\.callbacks: got 2 callbacks SampleGrid, expected one"):
        trainer.fit(module, make_data())


def test_columns_out_of_range() -> None:
    with pytest.raises(ConfigurationError, match=r"SampleGrid\.columns: got 0, expected at least 1"):
        SampleGrid(0)


@pytest.mark.parametrize("submodule", ["student", "discriminator"])
def test_submodule_that_is_no_generator(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], submodule: str
) -> None:
    """The error comes before the first epoch, not after it."""
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    trainer = make_trainer(max_epochs=1, callbacks=[SampleGrid(submodule=submodule)])
    with pytest.raises(ConfigurationError, match=rf"SampleGrid\.submodule: '{submodule}' is not a generator"):
        trainer.fit(module, make_data())
    assert trainer.global_step == 0
