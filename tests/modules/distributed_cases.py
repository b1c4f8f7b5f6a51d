"""Modules and data whose random numbers do not depend on the number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn
from torch.optim import SGD

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.losses import (
    ACGANLoss,
    GANLoss,
    GeneratorDistillationLoss,
    HingeGANLoss,
    HintLoss,
    KnowledgeDistillationLoss,
    WassersteinGANLoss,
    WassersteinGPLoss,
)
from ganmc_lightning.modules import (
    ACGANModule,
    AdversarialCompressionModule,
    ClassifierModule,
    CompressionModule,
    DistillationModule,
    GANCompressionModule,
    GANModule,
)
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    DCGANDiscriminator,
    FeatureDiscriminator,
    Generator,
    MLPClassifier,
)
from ganmc_lightning.synthesizers import PooledSynthesizer, Synthesizer

BATCH = 6
"""Samples in a batch of one process."""
sgd = partial(SGD, lr=0.1)  # unlike Adam, it depends on the scale of the gradients


class Process(NamedTuple):
    rank: int
    size: int

    def share(self, calls: int, n: int, table: Tensor) -> Tensor:
        """Return the rows of this process: those of one process that draws ``size * n`` rows per call."""
        indices = (calls * n + torch.arange(n)) * self.size + self.rank
        return table[indices % len(table)]


class TableGenerator(Generator):
    """Linear generator, without batch normalization, whose latents in training are rows of a table."""

    def __init__(self, process: Process, num_classes: int = 0, width: int = 6) -> None:
        super().__init__(6, num_classes, (1, 8, 8))
        self.process = process
        self.calls = 0
        self.table = torch.randn(1000, 6, generator=torch.Generator().manual_seed(0))
        self.hidden = nn.Linear(6 + num_classes, width)
        self.output = nn.Linear(width, 64)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is not None:
            latents = torch.cat([latents, nn.functional.one_hot(labels, self.num_classes)], dim=1)
        return self.output(self.hidden(latents).relu()).tanh().unflatten(1, (1, 8, 8))

    def sample_latents(self, n: int, device: torch.device | str, generator: torch.Generator | None = None) -> Tensor:
        if generator is not None:  # in validation
            return super().sample_latents(n, device, generator)
        self.calls += 1
        return self.process.share(self.calls - 1, n, self.table)


class TableSynthesizer(Synthesizer):
    """Return rows of a table of random images with labels."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.calls = 0

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        generator = torch.Generator().manual_seed(1)
        self.images = torch.rand(1000, 1, 8, 8, generator=generator) * 2 - 1
        self.labels = torch.randint(0, 3, (1000,), generator=generator)  # the replacement has no lower bound

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return tuple(self.process.share(self.calls - 1, n, table) for table in (self.images, self.labels))


@contextmanager
def deterministic_draws() -> Iterator[None]:
    """Replace random choices by enumerations whose union over all processes is that of one process."""
    calls = 0
    original = torch.randint, torch.randperm, torch.rand

    def randint(*arguments: Any, **options: Any) -> Tensor:
        nonlocal calls
        if len(arguments) != 2:
            return original[0](*arguments, **options)
        high, (n,) = arguments
        calls += 1
        return ((calls - 1) * n + torch.arange(n)) % high

    def randperm(n: int, **options: Any) -> Tensor:
        return original[1](n, **options) if "generator" in options else torch.arange(n)

    def rand(*shape: Any, **options: Any) -> Tensor:
        return original[2](*shape, **options) if "generator" in options else torch.full(*shape, 0.5)

    with mock.patch.multiple(torch, randint=randint, randperm=randperm, rand=rand):
        yield


Build = Callable[[Process, Path], tuple[CompressionModule, dict[str, Any]]]
"""Function of the process and of a folder that returns a module and arguments of its data module."""


def classifier(process: Process, folder: Path) -> tuple[CompressionModule, dict[str, Any]]:
    return ClassifierModule(MLPClassifier(64, 3, hidden=(8,)), sgd), {}


def distillation(process: Process, folder: Path, shared: bool) -> tuple[CompressionModule, dict[str, Any]]:
    """One third of the samples are from a pool; the teacher's logits are cached."""
    loss = KnowledgeDistillationLoss(temperature=2.0)
    module = DistillationModule(MLPClassifier(64, 3, (8,)), MLPClassifier(64, 3, (5,)), loss, sgd)
    if shared:
        pool = PooledSynthesizer(TableSynthesizer(Process(0, 1)), size=24, refresh=0.0, folder=str(folder / "pool"))
    else:
        pool = PooledSynthesizer(TableSynthesizer(process), size=24 // process.size, refresh=0.5)
    return module, {"synthesizer": pool, "p_fake": 1 / 3, "cache_logits": True}


def hints(process: Process, folder: Path) -> tuple[CompressionModule, dict[str, Any]]:
    loss = HintLoss([("features", "features")], 0.1)
    module = DistillationModule(MLPClassifier(64, 3, (8,)), MLPClassifier(64, 3, (5,)), loss, sgd)
    return module, {"synthesizer": TableSynthesizer(process), "p_fake": 0.5}


def anc(process: Process, folder: Path) -> tuple[CompressionModule, dict[str, Any]]:
    teacher, student = MLPClassifier(64, 3, (8,)), MLPClassifier(64, 3, (5,))
    discriminator = FeatureDiscriminator(8, (6,))
    optimizers = {"student_optimizer": sgd, "discriminator_optimizer": sgd}
    return AdversarialCompressionModule(teacher, student, discriminator, dropout=0.0, **optimizers), {}


def gan(
    process: Process, folder: Path, loss: GANLoss | None = None, lrs: tuple[float, float] = (0.1, 0.1)
) -> tuple[CompressionModule, dict[str, Any]]:
    discriminator = DCGANDiscriminator(8, 1, width=4, normalization="none")
    generator_sgd, discriminator_sgd = (partial(SGD, lr=lr) for lr in lrs)
    optimizers = {"generator_optimizer": generator_sgd, "discriminator_optimizer": discriminator_sgd}
    return GANModule(TableGenerator(process), discriminator, loss, n_critic=2, **optimizers), {}


def acgan(process: Process, folder: Path) -> tuple[CompressionModule, dict[str, Any]]:
    discriminator = ACGANDiscriminator(8, 1, 3, width=2, normalization="spectral", dropout=0.0)
    loss = ACGANLoss(HingeGANLoss(), r1_weight=0.1)
    optimizers = {"generator_optimizer": sgd, "discriminator_optimizer": sgd}
    return ACGANModule(TableGenerator(process, num_classes=3), discriminator, loss, **optimizers), {}


def gan_compression(process: Process, folder: Path, alpha: float) -> tuple[CompressionModule, dict[str, Any]]:
    discriminator = DCGANDiscriminator(8, 1, width=4, normalization="none") if alpha > 0 else None
    networks = TableGenerator(process), TableGenerator(process, width=3)
    loss = GeneratorDistillationLoss(alpha=alpha)
    return GANCompressionModule(*networks, loss, discriminator, sgd, discriminator_optimizer=sgd), {}


CASES: dict[str, Build] = {
    "classifier": classifier,
    "distillation_pool": partial(distillation, shared=False),
    "distillation_shared_pool": partial(distillation, shared=True),
    "hints": hints,
    "anc": anc,
    "gan": gan,
    "wgan": partial(gan, loss=WassersteinGANLoss(), lrs=(1.0, 0.001)),
    "wgan_gp": partial(gan, loss=WassersteinGPLoss(), lrs=(1.0, 0.01)),
    "acgan": acgan,
    "gan_compression": partial(gan_compression, alpha=0.0),
    "gan_compression_joint": partial(gan_compression, alpha=0.5),
}


def build(name: str, process: Process, largest: int, folder: Path, data: Path) -> tuple[CompressionModule, Any]:
    """Return module and data of a case; a single process has batches as large as those of ``largest`` processes."""
    module, options = CASES[name](process, folder)
    options |= {"batch_size": BATCH * largest // process.size}
    if not isinstance(module, GANCompressionModule):  # which draws a batch of latents for each batch of samples
        options |= {"validation_fraction": 0.125}  # 15 samples, unequal shares
    return module, GANAugmentedDataModule(NpzFile(data), **options)
