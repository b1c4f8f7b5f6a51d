"""Size of the checkpoints of a student."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from torch import nn

from ganmc_lightning.modules import DistillationModule
from ganmc_lightning.networks import ACGANGenerator, MLPClassifier
from ganmc_lightning.synthesizers import GeneratorSynthesizer, PooledSynthesizer


@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")
def test_checkpoints_contain_only_the_student_and_its_optimizer(
    make_data: Callable[..., Any], make_run_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    """Neither teacher, generator, pool nor cached logits: at most 1.1 times the size of what is trained."""
    generator = ACGANGenerator(8, 1, num_classes=3, latent_dim=8, width=16)
    pool = PooledSynthesizer(GeneratorSynthesizer(generator), size=8000)
    teacher, student = MLPClassifier(64, 3, (512, 512)), MLPClassifier(64, 3, (256, 256))
    trained = _size(student)
    assert min(_size(teacher), _size(generator), pool.size * 64) > 0.4 * trained
    trainer = make_run_trainer(tmp_path, max_epochs=1)
    trainer.fit(DistillationModule(teacher, student), make_data(synthesizer=pool, p_fake=0.5, cache_logits=True))
    optimizer = 2 * trained  # Adam's means of gradients and of squared gradients
    assert (tmp_path / "checkpoints" / "best.ckpt").stat().st_size < 1.1 * trained
    assert (tmp_path / "checkpoints" / "last.ckpt").stat().st_size < 1.1 * (trained + optimizer)


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
