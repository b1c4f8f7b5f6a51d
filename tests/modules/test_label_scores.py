from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.modules import ClassifierModule, DistillationModule
from ganmc_lightning.networks import MLPClassifier


@pytest.mark.parametrize("stage", ["val", "test"])
def test_scores_are_those_of_the_whole_part(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], stage: str
) -> None:
    """12 and 40 samples in batches of 7: a mean of the batches' means would be wrong."""
    network = MLPClassifier(64, 3)
    modules: list[LightningModule] = [
        ClassifierModule(network),
        DistillationModule(teacher=MLPClassifier(64, 3), student=network),
    ]
    for module in modules:
        data, trainer = make_data(batch_size=7), make_trainer()
        run = trainer.validate if stage == "val" else trainer.test
        (scores,) = run(module, datamodule=data, verbose=False)
        inputs, labels = data.samples(stage)
        with torch.no_grad():
            logits = network(inputs.float() * (2 / 255) - 1)
        log_likelihoods = logits.log_softmax(dim=1)[torch.arange(len(labels)), labels]
        assert scores.keys() == {f"{stage}/accuracy", f"{stage}/cross_entropy"}
        assert scores[f"{stage}/accuracy"] == pytest.approx(
            (logits.argmax(dim=1) == labels).double().mean().item(), rel=1e-5, abs=1e-6
        )
        assert scores[f"{stage}/cross_entropy"] == pytest.approx(-log_likelihoods.mean().item(), rel=1e-5, abs=1e-6)
