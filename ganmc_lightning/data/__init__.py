"""Data sets, augmentation, mixing of real and synthetic samples, and the data module."""

from ganmc_lightning.data.augment import Augment, RandomCropFlip, RandomResizedCropFlip
from ganmc_lightning.data.datamodule import GANAugmentedDataModule

__all__ = ["Augment", "GANAugmentedDataModule", "RandomCropFlip", "RandomResizedCropFlip"]
