from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from ganmc_lightning.callbacks import SampleGrid
from ganmc_lightning.callbacks.sample_grid import sample_per_class
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.image_grid import save_image_grid
from ganmc_lightning.modules import ACGANModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, Generator


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
