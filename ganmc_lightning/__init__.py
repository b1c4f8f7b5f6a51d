"""GAN-assisted model compression with PyTorch Lightning."""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

# Public names by the module that defines them. They are imported when first asked for, so that
# ``import ganmc_lightning`` and ``ganmc --help`` wait for neither PyTorch nor scikit-learn.
_LAZY_IMPORTS = {
    "ACGANModule": "modules",
    "AdversarialCompressionModule": "modules",
    "ClassifierModule": "modules",
    "CompressionModule": "modules",
    "DistillationModule": "modules",
    "GANCompressionModule": "modules",
    "GANModule": "modules",
    "GANAugmentedDataModule": "data",
    "CompressionScore": "metrics",
    "compression_score": "metrics",
    "DistilledClassifier": "tabular",
    "DistilledRegressor": "tabular",
    "Batch": "batch",
    "DataSpec": "batch",
    "DivergenceError": "exceptions",
    "ConfigurationError": "exceptions",
    "export_network": "export",
    "Frozen": "networks",
    "Generator": "networks",
    "build_network": "networks",
    "load_generator": "networks",
    "load_network": "networks",
    "resolve_precision": "cli.precision",
    "Synthesizer": "synthesizers",
}

__all__ = ["__version__", *_LAZY_IMPORTS]


def __getattr__(name: str) -> object:
    if name not in _LAZY_IMPORTS:
        raise AttributeError(f"module 'ganmc_lightning' has no attribute '{name}'")
    return getattr(import_module(f"ganmc_lightning.{_LAZY_IMPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
