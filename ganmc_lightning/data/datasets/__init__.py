"""Named data sets, cached as one ``.npz`` file each, and data sets in the user's files and folders."""

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, ImageFileDataset, TensorDataset
from ganmc_lightning.data.datasets.data_free import DataFreeSource
from ganmc_lightning.data.datasets.files import NpzFile, TableFile
from ganmc_lightning.data.datasets.folders import ImageFolder, ImageNet
from ganmc_lightning.data.datasets.huggingface import HuggingFaceDataset
from ganmc_lightning.data.datasets.image_table import ImageTable
from ganmc_lightning.data.datasets.images import CIFAR10, CIFAR100, MNIST, SVHN, CelebA, Digits, FashionMNIST
from ganmc_lightning.data.datasets.keel import KeelTable
from ganmc_lightning.data.datasets.opening import open_dataset
from ganmc_lightning.data.datasets.resized import ResizedDataset
from ganmc_lightning.data.datasets.tables import HIGGS, MAGIC, BreastCancer
from ganmc_lightning.data.datasets.torch_dataset import TorchDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "HIGGS",
    "MAGIC",
    "MNIST",
    "SVHN",
    "BreastCancer",
    "CelebA",
    "DataFreeSource",
    "DatasetSource",
    "DatasetSplits",
    "Digits",
    "FashionMNIST",
    "HuggingFaceDataset",
    "ImageFileDataset",
    "ImageFolder",
    "ImageNet",
    "ImageTable",
    "KeelTable",
    "NpzFile",
    "ResizedDataset",
    "TableFile",
    "TensorDataset",
    "TorchDataset",
    "open_dataset",
]
