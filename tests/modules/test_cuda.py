"""On a GPU: the same numbers as on the CPU, and no step that waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import SGD

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.cli import acceleration
from ganmc_lightning.cli.acceleration import Acceleration
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.modules import CompressionModule
from ganmc_lightning.networks import ACGANGenerator
from ganmc_lightning.synthesizers import (
    FilteredSynthesizer,
    GeneratorSynthesizer,
    JitterSynthesizer,
    PooledSynthesizer,
    Synthesizer,
)

MakeModule = Callable[..., CompressionModule]
MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]

KINDS = ["classifier", "distillation", "hints", "anc", "gan", "wgan_gp", "acgan", "gan_compression", "joint"]

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),  # for the numbers of the CPU
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),  # torch.compile
]


class NoSynchronization(Callback):
    """Raise an error for every synchronization with the device from the second step to the last."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1:  # the first step validates the labels
            torch.cuda.set_sync_debug_mode("error")

    def on_train_epoch_end(self, *arguments: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, *arguments: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")


class ByPosition(nn.Module):
    """Teacher of the tiny data set: the position of the bright bar."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mean(dim=(1, 2))[:, :6].unflatten(1, (3, 2)).mean(dim=2)


@pytest.fixture(autouse=True)
def _float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def random_numbers_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw on the CPU and copy to the device, because the random numbers of devices differ."""
    for name in ("rand", "randn", "randint", "randperm"):
        draw = getattr(torch, name)

        def drawn(*arguments: Any, device: Any = None, draw: Any = draw, **settings: Any) -> Tensor:
            return draw(*arguments, **settings).to(device or "cpu")

        monkeypatch.setattr(torch, name, drawn)


@pytest.mark.usefixtures("random_numbers_of_the_cpu")
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_steps_equal_those_on_the_cpu(
    kind: str, make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    trained = {}
    for accelerator in ("cpu", "cuda"):
        module = without_noise(make_module(kind))
        torch.manual_seed(1)
        callbacks = [Acceleration("highest")]
        make_trainer(accelerator=accelerator, max_epochs=1, limit_train_batches=20, callbacks=callbacks).fit(
            module, make_data(batch_size=5)
        )
        assert module.iteration == 20
        trained[accelerator] = {name: value.cpu() for name, value in module.state_dict().items()}
    for name, value in trained["cpu"].items():
        torch.testing.assert_close(trained["cuda"][name], value, rtol=1e-2, atol=1e-3, msg=name)


def without_noise(module: CompressionModule) -> CompressionModule:
    """Use no dropout, whose random numbers differ between devices, and SGD, because Adam scales up rounding errors."""
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    for name in vars(module):
        if name.endswith("_optimizer"):
            setattr(module, name, partial(SGD, lr=0.01))
    return module


def synthesizer_of(kind: str) -> Synthesizer:
    generator = GeneratorSynthesizer(ACGANGenerator(image_size=8, channels=1, num_classes=3, latent_dim=8, width=4))
    synthesizers: dict[str, Callable[[], Synthesizer]] = {
        "generator": lambda: generator,
        "pooled": lambda: PooledSynthesizer(generator, size=64),
        "filtered": lambda: FilteredSynthesizer(JitterSynthesizer(), ByPosition()),
        "jitter": JitterSynthesizer,
    }
    return synthesizers[kind]()


@pytest.mark.parametrize(
    ("kind", "precision", "synthesizer"),
    [
        *((kind, "32-true", "pooled") for kind in KINDS),
        *((kind, "bf16-mixed", "pooled") for kind in KINDS),
        *(("distillation", "32-true", synthesizer) for synthesizer in ("generator", "filtered", "jitter")),
        *((kind, "bf16-true", "pooled") for kind in ("classifier", "distillation", "acgan")),
    ],
)
def test_steps_do_not_wait_for_the_device(
    kind: str,
    precision: Any,
    synthesizer: str,
    make_module: MakeModule,
    make_data: MakeData,
    make_trainer: MakeTrainer,
) -> None:
    data = make_data(batch_size=5, p_fake=0.5, synthesizer=synthesizer_of(synthesizer))
    average = [GeneratorEMA()] if kind in ("gan", "acgan") else []
    module = make_module(kind)
    trainer = make_trainer(
        accelerator="cuda",
        precision=precision,
        max_epochs=1,
        limit_val_batches=0,
        log_every_n_steps=1000,
        callbacks=[Acceleration(), *average, NoSynchronization()],
    )
    trainer.fit(module, data)
    assert module.iteration == 21
    fused = {group.get("fused") for optimizer in trainer.optimizers for group in optimizer.param_groups}
    assert fused == {True}


@pytest.mark.usefixtures("random_numbers_of_the_cpu")
@pytest.mark.parametrize("kind", ["distillation", "acgan"])
def test_compiled_steps_equal_eager_ones(
    kind: str,
    make_module: MakeModule,
    make_data: MakeData,
    make_trainer: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acceleration, "COMPILE_STEPS", 0)
    trained = {}
    for compile_networks in ("off", "auto"):
        module = without_noise(make_module(kind))
        torch.manual_seed(1)
        callbacks = [Acceleration("highest", compile_networks)]
        make_trainer(accelerator="cuda", max_epochs=2, limit_train_batches=10, callbacks=callbacks).fit(
            module, make_data(batch_size=5, cache_logits=False)
        )
        trained[compile_networks] = module.state_dict()
    torch.compiler.reset()
    for name, value in trained["off"].items():
        torch.testing.assert_close(trained["auto"][name], value, rtol=1e-2, atol=1e-3, msg=name)


@pytest.fixture
def process_group() -> Iterator[None]:
    """End the process group that the test starts."""
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("random_numbers_of_the_cpu", "process_group")
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of PyTorch's functions for sharded state dicts
@pytest.mark.parametrize("kind", ["classifier", "distillation"])
def test_sharded_steps_equal_those_of_one_device(
    kind: str, make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    """FSDP2 with one process."""
    trained = {}
    for strategy in ("auto", "fsdp2"):
        module = without_noise(make_module(kind))
        torch.manual_seed(1)
        make_trainer(
            accelerator="cuda",
            strategy=strategy,
            max_epochs=1,
            limit_train_batches=20,
            callbacks=[Acceleration("highest")],
        ).fit(module, make_data(batch_size=5))
        assert module.iteration == 20
        state = module.state_dict().items()
        trained[strategy] = {
            name: (value.full_tensor() if isinstance(value, DTensor) else value).cpu() for name, value in state
        }
    for name, value in trained["auto"].items():
        torch.testing.assert_close(trained["fsdp2"][name], value, rtol=1e-2, atol=1e-3, msg=name)
