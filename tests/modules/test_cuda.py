"""On a GPU: the same numbers as on the CPU, and no step that waits for the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.modules import CompressionModule
from ganmc_lightning.networks import ACGANGenerator
from ganmc_lightning.synthesizers import GeneratorSynthesizer, PooledSynthesizer

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),
]


class NoSynchronization(Callback):
    """Raise an error for every synchronization with the device during a step."""

    def on_train_batch_start(self, *arguments: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")

    def on_train_batch_end(self, *arguments: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, *arguments: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", ["classifier", "distillation"])
def test_twenty_steps_equal_those_on_the_cpu(
    kind: str,
    make_module: Callable[..., CompressionModule],
    make_data: Callable[..., GANAugmentedDataModule],
    make_trainer: Callable[..., Trainer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    trained = {}
    for accelerator in ("cpu", "cuda"):
        module = make_module(kind)
        for layer in module.modules():
            if isinstance(layer, torch.nn.Dropout):  # its random numbers differ between devices
                layer.p = 0.0
        make_trainer(accelerator=accelerator, max_steps=20).fit(module, make_data())
        trained[accelerator] = {name: value.cpu() for name, value in module.state_dict().items()}
    for name, value in trained["cpu"].items():
        torch.testing.assert_close(trained["cuda"][name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["classifier", "distillation", "acgan"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
def test_steps_do_not_wait_for_the_device(
    kind: str,
    precision: str,
    make_module: Callable[..., CompressionModule],
    make_data: Callable[..., GANAugmentedDataModule],
    make_trainer: Callable[..., Trainer],
) -> None:
    generator = ACGANGenerator(image_size=8, channels=1, num_classes=3, latent_dim=8, width=4)
    data = make_data(p_fake=0.5, synthesizer=PooledSynthesizer(GeneratorSynthesizer(generator), size=64))
    trainer = make_trainer(
        accelerator="cuda",
        precision=precision,
        max_steps=20,
        log_every_n_steps=1000,
        callbacks=[NoSynchronization()],
    )
    trainer.fit(make_module(kind), data)
    assert trainer.global_step == 20
