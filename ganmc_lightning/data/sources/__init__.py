"""Named data sets, cached as one ``.npz`` file each, and a user's own files and folders."""

from ganmc_lightning.data.sources.base import ArrayDataset, FileDataset, Source, Splits
from ganmc_lightning.data.sources.empty import NoData
from ganmc_lightning.data.sources.files import NpzFile, TableFile
from ganmc_lightning.data.sources.folders import ImageFolder, ImageNet
from ganmc_lightning.data.sources.images import CIFAR10, CIFAR100, MNIST, SVHN, CelebA, Digits, FashionMNIST
from ganmc_lightning.data.sources.resized import Resized
from ganmc_lightning.data.sources.split import stratified_split
from ganmc_lightning.data.sources.tables import HIGGS, MAGIC, BreastCancer

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "HIGGS",
    "MAGIC",
    "MNIST",
    "SVHN",
    "ArrayDataset",
    "BreastCancer",
    "CelebA",
    "Digits",
    "FashionMNIST",
    "FileDataset",
    "ImageFolder",
    "ImageNet",
    "NoData",
    "NpzFile",
    "Resized",
    "Source",
    "Splits",
    "TableFile",
    "stratified_split",
]
