"""Every module in every precision of the trainer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn

from ganmc_lightning.callbacks import (
    CompressionScoreMonitor,
    GeneratorCollapseStopping,
    GeneratorEMA,
    GeneratorMetricsMonitor,
    SampleGrid,
)
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.losses import (
    ACGANLoss,
    FSPLoss,
    GANLoss,
    GeneratorDistillationLoss,
    HingeGANLoss,
    HintLoss,
    InvertedLabelRegularizer,
    KnowledgeDistillationLoss,
    L1Regularizer,
    MinimaxGANLoss,
    PerceptualLoss,
    PixelMSELoss,
    WassersteinGANLoss,
    WassersteinGPLoss,
    WeightedSumLoss,
)
from ganmc_lightning.metrics import ClassifierExtractor
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
    ACGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    FeatureDiscriminator,
    FiveLayerCNN,
    MLPClassifier,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*eps of .* is raised:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*AMP with fp16 is not supported on CPU:UserWarning"),
    pytest.mark.filterwarnings("ignore:CompressionScoreMonitor.* is nan:UserWarning"),  # of untrained teachers
]
DTYPES = {
    "bf16-true": torch.bfloat16,
    "16-true": torch.float16,
    "64-true": torch.float64,
    "bf16-mixed": torch.float32,
    "16-mixed": torch.float32,
}
TOLERANCE = {"bf16-true": 0.1, "16-true": 0.1, "64-true": 1e-4, "bf16-mixed": 0.03, "16-mixed": 0.03}
"""Relative difference from the losses in float32: about five times the largest on one processor."""
FLOAT32: dict[str, dict[str, float]] = {}
"""Losses of each module in float32, by name, computed once."""


def convolutional() -> nn.Module:
    return FiveLayerCNN(1, 8, 3, (4, 6, 8, 12))


def dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def gan(loss: GANLoss | None = None) -> GANModule:
    critic = DCGANDiscriminator(8, 1, width=4, normalization="batch" if loss is None else "none")
    return GANModule(DCGANGenerator(8, 1, latent_dim=6, width=4), critic, loss)


def acgan(**arguments: Any) -> ACGANModule:
    critic = ACGANDiscriminator(8, 1, 3, 2, normalization="spectral" if arguments else "batch", dropout=0.0)
    return ACGANModule(ACGANGenerator(8, 1, 3, 6, 4), critic, **arguments)


def compression(loss: GeneratorDistillationLoss | None = None) -> GANCompressionModule:
    critic = None if loss is None or loss.alpha == 0 else DCGANDiscriminator(8, 1, width=4)
    return GANCompressionModule(DCGANGenerator(8, 1, 6, 4), DCGANGenerator(8, 1, 6, 2), loss, critic)


def distances() -> WeightedSumLoss:
    return WeightedSumLoss([PixelMSELoss(), PerceptualLoss(convolutional())], [1.0, 1.0])


MODULES: dict[str, Callable[[], CompressionModule]] = {
    "classifier": lambda: ClassifierModule(convolutional()),
    "distillation": lambda: DistillationModule(dense(), MLPClassifier(64, 3)),
    "knowledge distillation": lambda: DistillationModule(dense(), MLPClassifier(64, 3), KnowledgeDistillationLoss()),
    "hints": lambda: DistillationModule(dense(), MLPClassifier(64, 3), HintLoss([("1", "features.2")])),
    "flows": lambda: DistillationModule(
        convolutional(), convolutional(), FSPLoss([(name, name) for name in ("features.0", "features.3")])
    ),
    "acgan": acgan,
    "acgan, hinge and R1": lambda: acgan(loss=ACGANLoss(HingeGANLoss(), r1_weight=1.0, r1_interval=1)),
    "gan": gan,
    "wgan": lambda: gan(WassersteinGANLoss()),
    "wgan-gp": lambda: gan(WassersteinGPLoss()),
    "gan compression": compression,
    "gan compression, joint": lambda: compression(GeneratorDistillationLoss(0.1, distances())),
    "adversarial compression": lambda: AdversarialCompressionModule(
        dense(), MLPClassifier(64, 3), FeatureDiscriminator(8, (8,)), InvertedLabelRegularizer(), teacher_layer="3"
    ),
    "adversarial compression, L1": lambda: AdversarialCompressionModule(
        dense(), MLPClassifier(64, 3, (8,)), FeatureDiscriminator(3, (8,)), L1Regularizer(1e-3), "logits", "logits"
    ),
}


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="lightning.pytorch")


def losses(trainer: Trainer) -> dict[str, float]:
    metrics = trainer.callback_metrics
    return {name: metrics[name].item() for name in metrics if name.startswith("train/loss") and "step" not in name}


def train(name: str, precision: Any, data: GANAugmentedDataModule, make_trainer: Callable[..., Trainer]) -> Trainer:
    torch.manual_seed(0)
    trainer = make_trainer(max_epochs=1, limit_train_batches=3, precision=precision)
    module = MODULES[name]()
    torch.manual_seed(1)
    trainer.fit(module, data)
    return trainer


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", MODULES)
def test_each_module(
    name: str,
    precision: str,
    make_data: Callable[..., GANAugmentedDataModule],
    make_trainer: Callable[..., Trainer],
) -> None:
    """The losses equal those in float32 up to rounding, with the same latents, batches and initial weights."""
    if name not in FLOAT32:
        FLOAT32[name] = losses(train(name, "32-true", make_data(), make_trainer))
    trainer = train(name, precision, make_data(), make_trainer)
    found = losses(trainer)
    module = trainer.lightning_module
    assert {parameter.dtype for parameter in module.parameters()} == {DTYPES[precision]}
    assert found.keys() == FLOAT32[name].keys()
    assert found
    for key, value in FLOAT32[name].items():
        assert found[key] == pytest.approx(value, rel=TOLERANCE[precision], abs=1e-4), key  # some are 1e-5
    if not isinstance(module, ACGANModule | GANModule):
        trainer.test(module, make_data(), verbose=False)
    (predictions, *_) = trainer.predict(module, make_data())
    assert predictions.isfinite().all()
    if module.prediction_name == "probabilities":
        torch.testing.assert_close(predictions.double().sum(dim=1), torch.ones(len(predictions)).double())


@pytest.mark.parametrize("precision", DTYPES)
def test_callbacks_of_generators(
    precision: str, make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer]
) -> None:
    callbacks: list[Callback] = [
        GeneratorEMA(0.9),
        SampleGrid(2),
        GeneratorCollapseStopping(1, 0.0),
        GeneratorMetricsMonitor(
            ClassifierExtractor(MLPClassifier(64, 3)), ("fid", "laplacian_variance"), num_samples=20
        ),
        CompressionScoreMonitor(MLPClassifier(64, 3), lambda: MLPClassifier(64, 3, ())),
    ]
    trainer = make_trainer(max_epochs=1, precision=precision, callbacks=callbacks)
    trainer.fit(acgan(), make_data())
    assert trainer.callback_metrics["val/fid"].isfinite()


class RecordingLoss(MinimaxGANLoss):
    """Record the dtypes of the logits that a module passes to its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def discriminator_loss(self, real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
        self.dtypes |= {real_logits.dtype, fake_logits.dtype}
        return super().discriminator_loss(real_logits, fake_logits)

    def generator_loss(self, fake_logits: torch.Tensor) -> torch.Tensor:
        self.dtypes.add(fake_logits.dtype)
        return super().generator_loss(fake_logits)


@pytest.mark.parametrize("precision", ["bf16-true", "bf16-mixed"])
@pytest.mark.parametrize("name", ["acgan", "gan", "gan compression"])
def test_losses_of_gans_receive_float32(
    name: str,
    precision: str,
    make_data: Callable[..., GANAugmentedDataModule],
    make_trainer: Callable[..., Trainer],
) -> None:
    loss = RecordingLoss()
    module = {
        "acgan": lambda: acgan(loss=ACGANLoss(loss)),
        "gan": lambda: gan(loss),
        "gan compression": lambda: compression(GeneratorDistillationLoss(0.1, adversarial_loss=loss)),
    }[name]()
    make_trainer(max_steps=2, limit_val_batches=0, precision=precision).fit(module, make_data())
    assert loss.dtypes == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_latents_of_a_seed_do_not_depend_on_the_precision(precision: str) -> None:
    generator = DCGANGenerator(8, 1, latent_dim=6, width=4)
    wide = generator.sample_latents(5, "cpu", torch.Generator().manual_seed(3))
    narrow = generator.to(DTYPES[precision]).sample_latents(5, "cpu", torch.Generator().manual_seed(3))
    assert wide.dtype == torch.float32
    assert torch.equal(narrow, wide.to(DTYPES[precision]))
