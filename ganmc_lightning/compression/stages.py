"""Stages of a compression: the networks that are trained, each in its run folder."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.optim import AdamW

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.compression.inputs import LoadedSource, StudentNetwork
from ganmc_lightning.compression.schedule import cosine_schedule
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.augment import Augment, RandomCropFlip, RandomResizedCropFlip
from ganmc_lightning.data.datasets import TensorDataset
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import ACGANLoss, HingeGANLoss
from ganmc_lightning.losses.distillation import DistillationLoss
from ganmc_lightning.modules import ACGANModule, ClassifierModule, CompressionModule, DistillationModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator
from ganmc_lightning.synthesizers import Synthesizer

GAN, LABELS, STUDENT = "gan", "labels", "student"
"""Names of the stages that train the GAN, the student on labels, and the student by distillation."""
GAN_WIDTHS = (96, 32)
"""Widths of the AC-GAN's generator and discriminator."""
SMALL_IMAGE = 64
"""Largest side of images that are shifted; larger ones are cropped and resized."""
P_FAKE = 0.5
"""Share of synthetic samples in the batches of students that are trained with them."""
WORKERS = 4
"""Largest number of processes that read images from files."""
LEARNING_RATE = 2e-3
WARMUP = 0.05
"""Share of the steps in which the learning rate increases."""
GENERATOR = "ganmc_lightning.networks.ACGANGenerator"


@dataclass(frozen=True)
class CompressionStage:
    """One network to train.

    Attributes:
        name: name of its run folder.
        text: description for messages.
        network: name of the trained network in the module.
        make_module: returns a new module, given the number of steps.
        make_data: returns its data module.
        measured_as: stage with steps of about equal duration, for the estimate.
        monitor: validation metric that selects ``best.ckpt``; None for the last epoch.
        callbacks: returns the stage's own callbacks.
    """

    name: str
    text: str
    network: str
    make_module: Callable[[int], CompressionModule]
    make_data: Callable[[], GANAugmentedDataModule]
    measured_as: str
    monitor: str | None = "val/accuracy"
    callbacks: Callable[[], list[Callback]] = list


@dataclass(frozen=True)
class StageFactory:
    """Builder of the stages of one compression.

    Attributes:
        teacher: trained network.
        student: untrained student; each stage trains a copy.
        source: the data.
        spec: specification of the data.
        loss: distillation loss.
        batch_size: number of samples in a step.
        flip: whether images are flipped horizontally.
    """

    teacher: nn.Module
    student: StudentNetwork
    source: LoadedSource
    spec: DataSpec
    loss: DistillationLoss
    batch_size: int
    flip: bool

    @property
    def num_workers(self) -> int:
        """Number of processes that read images from files."""
        return 0 if isinstance(self.source.splits.train, TensorDataset) else min(WORKERS, os.cpu_count() or 1)

    def example_input(self) -> Tensor:
        """Return one image of zeros, to count operations."""
        return torch.zeros(1, *self.spec.sample_shape)

    def distillation(self, name: str, text: str, synthesizer: Synthesizer | None = None) -> CompressionStage:
        """Return the stage that distills the teacher into a student, with synthetic samples if given."""
        return CompressionStage(
            name, text, "student", self._distillation_module, partial(self._data, synthesizer), STUDENT
        )

    def labels(self) -> CompressionStage:
        """Return the stage that trains the student on the labels, with equal augmentation and schedule."""
        return CompressionStage(LABELS, "student on the labels only", "network", self._label_module, self._data, LABELS)

    def gan(self) -> CompressionStage:
        """Return the stage that trains an AC-GAN, with the settings of ``configs/cifar10/acgan.yaml``.

        Raises:
            ConfigurationError: the images have a size that the AC-GAN does not support.
        """
        _, height, width = self.spec.sample_shape
        if height != width or not 8 <= height <= SMALL_IMAGE or height % 4:
            raise ConfigurationError(
                f"--gan: got images of {width} x {height} pixels, expected squares of 8 to {SMALL_IMAGE} pixels, a "
                "multiple of 4; pass a checkpoint of another GAN, or stored images with --synthetic"
            )
        data = partial(self._data, augmented=False)
        return CompressionStage(GAN, "AC-GAN", "generator", self._gan_module, data, GAN, None, _average_callbacks)

    def generator(self) -> ACGANGenerator:
        """Return the untrained generator of the AC-GAN."""
        return ACGANGenerator(**self._gan_sizes(GAN_WIDTHS[0]))

    def _gan_sizes(self, width: int) -> dict[str, int]:
        channels, side, _ = self.spec.sample_shape
        return {"image_size": side, "channels": channels, "num_classes": self.spec.num_classes, "width": width}

    def _data(self, synthesizer: Synthesizer | None = None, augmented: bool = True) -> GANAugmentedDataModule:
        return GANAugmentedDataModule(
            self.source,
            synthesizer,
            p_fake=0.0 if synthesizer is None else P_FAKE,
            batch_size=self.batch_size,
            augment=self._augment() if augmented else None,
            num_workers=self.num_workers,
        )

    def _augment(self) -> Augment:
        side = min(self.spec.sample_shape[1:])
        if side <= SMALL_IMAGE:
            return RandomCropFlip(padding=side // 8, flip=self.flip)
        return RandomResizedCropFlip(flip=self.flip)

    def _distillation_module(self, steps: int) -> CompressionModule:
        module = DistillationModule(
            copy.deepcopy(self.teacher),
            copy.deepcopy(self.student.network),
            copy.deepcopy(self.loss),
            make_optimizer,
            cosine_schedule(steps, WARMUP),
        )
        return _with_recipe(module, "student", self.student.recipe)

    def _label_module(self, steps: int) -> CompressionModule:
        network = copy.deepcopy(self.student.network)
        module = ClassifierModule(network, make_optimizer, cosine_schedule(steps, WARMUP))
        return _with_recipe(module, "network", self.student.recipe)

    def _gan_module(self, steps: int) -> CompressionModule:
        width, discriminator_width = GAN_WIDTHS
        module = ACGANModule(
            self.generator(),
            ACGANDiscriminator(**self._gan_sizes(discriminator_width), normalization="spectral", dropout=0.0),
            ACGANLoss(HingeGANLoss(), classify_generated=False),
        )
        return _with_recipe(module, "generator", {"class_path": GENERATOR, "init_args": self._gan_sizes(width)})


def make_optimizer(parameters: Any) -> AdamW:
    """Return AdamW, with the learning rate and weight decay of all students."""
    return AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.05)


def _average_callbacks() -> list[Callback]:
    return [GeneratorEMA()]


def _with_recipe(module: CompressionModule, name: str, recipe: Mapping[str, Any] | None) -> CompressionModule:
    """Store the recipe of a network in the checkpoints of a module, so that they can be loaded by path."""
    if recipe is not None:
        module.hparams[name] = dict(recipe)
    return module
