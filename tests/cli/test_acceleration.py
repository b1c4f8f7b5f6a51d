"""Compiled networks and settings for CUDA, tested on the CPU in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.optim import SGD

from ganmc_lightning.callbacks import collapse_stopping
from ganmc_lightning.cli import acceleration
from ganmc_lightning.cli.acceleration import Acceleration, compile_options
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.losses import ACGANLoss, HintLoss, WassersteinGPLoss
from ganmc_lightning.modules import ACGANModule, CompressionModule, DistillationModule, GANModule
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPClassifier,
    load_network,
)

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]


class Backend:
    """``aot_eager``, which traces forward and backward pass and runs them without a compiler; counts the graphs."""

    def __init__(self) -> None:
        self.graphs = 0
        self.run: Any = torch._dynamo.lookup_backend("aot_eager")

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1
        return self.run(graph, inputs)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """Treat the CPU as CUDA, compile short runs too, and restore the global settings."""
    used = Backend()
    monkeypatch.setattr(acceleration, "DEVICES", ("cpu",))
    monkeypatch.setattr(acceleration, "COMPILE_STEPS", 0)
    monkeypatch.setattr(acceleration, "compile_options", lambda trainer, module: {"dynamic": False, "backend": used})
    precision, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield used
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = tf32
    torch.compiler.reset()


class Layers(nn.Sequential):
    """A network of its own: ``torch.compile`` before PyTorch 2.11 skips a bare ``nn.Sequential``."""

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = super().forward(inputs)
        return outputs


def distillation(hints: bool = False) -> DistillationModule:
    torch.manual_seed(0)
    loss = HintLoss([("0", "features")]) if hints else None
    teacher = Layers(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    return DistillationModule(teacher, MLPClassifier(64, 3, (6,)), loss, partial(SGD, lr=0.01))


def acgan(r1_weight: float = 0.0, normalization: Any = "batch") -> ACGANModule:
    torch.manual_seed(0)
    generator = ACGANGenerator(8, 1, num_classes=3, latent_dim=8, width=2)
    discriminator = ACGANDiscriminator(8, 1, 3, width=2, normalization=normalization, dropout=0.0)
    # Not Adam, which would scale up rounding errors of the biases before batch normalization.
    sgd = partial(SGD, lr=0.01)
    return ACGANModule(generator, discriminator, ACGANLoss(r1_weight=r1_weight), sgd, sgd)


def state_after(module: CompressionModule, trainer: Trainer, data: GANAugmentedDataModule) -> dict[str, Tensor]:
    torch.manual_seed(1)
    trainer.fit(module, data)
    return {name: value.clone() for name, value in module.state_dict().items()}


def convolutional() -> DistillationModule:
    """Batch normalization of this teacher is folded."""
    torch.manual_seed(0)
    teacher = Layers(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    return DistillationModule(teacher, MLPClassifier(64, 3, (6,)), optimizer=partial(SGD, lr=0.01))


@pytest.mark.parametrize("make", [distillation, convolutional, acgan])
def test_compiled_runs_equal_eager_ones(
    make: Callable[[], CompressionModule],
    backend: Backend,
    make_data: MakeData,
    make_trainer: MakeTrainer,
    tmp_path: Path,
) -> None:
    """With validation in other batch sizes; graphs are only compiled in the first epoch; checkpoints are plain."""
    graphs: list[int] = []

    class Count(Callback):
        def on_train_epoch_end(self, *_: Any) -> None:
            graphs.append(backend.graphs)

    settings = Acceleration("highest", compile="auto")
    trainer = make_trainer(max_epochs=2, callbacks=[settings, Count()])
    module = make()
    compiled = state_after(module, trainer, make_data(batch_size=25, cache_logits=False))
    trainer.save_checkpoint(tmp_path / "compiled.ckpt")
    expected = state_after(make(), make_trainer(max_epochs=2), make_data(batch_size=25, cache_logits=False))
    assert compiled.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert graphs[0] >= 2  # two networks
    assert graphs == [graphs[0]] * 2
    assert all(layer._compiled_call_impl is None for layer in module.modules())
    if make is distillation:
        loaded = load_network(str(tmp_path / "compiled.ckpt"), "student", MLPClassifier(64, 3, (6,)))
        inputs = torch.randn(2, 1, 8, 8)
        torch.testing.assert_close(loaded(inputs), module.student.eval()(inputs))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (distillation(), {"student", "teacher.network", "teacher.folded"}),
        (convolutional(), {"student", "teacher.folded"}),
        (distillation(hints=True), set()),
        (acgan(), {"generator", "discriminator"}),
        (acgan(r1_weight=1.0, normalization="spectral"), {"generator"}),
        (acgan(normalization="spectral"), {"generator"}),
        (
            GANModule(DCGANGenerator(8, 1, 6, 4), DCGANDiscriminator(8, 1, 4, "none"), WassersteinGPLoss()),
            {"generator"},
        ),
    ],
)
def test_networks_that_are_compiled(
    module: CompressionModule,
    expected: set[str],
    backend: Backend,
    make_data: MakeData,
    make_trainer: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not those with hooks, second derivatives or spectral normalization."""
    found: set[str] = set()

    def record(**values: Tensor) -> None:
        """Called at the end of the training step."""
        found.update(name for name, layer in module.named_modules() if layer._compiled_call_impl is not None)
        if isinstance(module, DistillationModule) and module.teacher.folded._compiled_call_impl is not None:
            found.add("teacher.folded")

    monkeypatch.setattr(module, "record", record)
    settings = Acceleration("highest", compile="auto")
    backend.run = lambda graph, inputs: graph.forward
    make_trainer(max_steps=1, limit_val_batches=0, callbacks=[settings]).fit(module, make_data())
    assert found == expected


@pytest.mark.parametrize(("compile", "steps"), [("off", 0), ("auto", 13)])
def test_short_runs_and_the_default_are_not_compiled(
    compile: Any,  # noqa: A002
    steps: int,
    backend: Backend,
    make_data: MakeData,
    make_trainer: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acceleration, "COMPILE_STEPS", steps)
    settings = Acceleration("highest", compile=compile)
    make_trainer(max_epochs=4, callbacks=[settings]).fit(distillation(), make_data())  # 12 batches
    assert backend.graphs == 0


@pytest.mark.parametrize(
    ("module", "batches", "mode"),
    [(distillation(), 1, "reduce-overhead"), (distillation(), 2, "default"), (acgan(), 1, "default")],
)
def test_cuda_graphs_are_used_with_one_forward_pass_per_step(
    module: CompressionModule, batches: int, mode: str, make_trainer: MakeTrainer
) -> None:
    assert compile_options(make_trainer(accumulate_grad_batches=batches), module)["mode"] == mode


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(("precision", "tf32"), [("high", True), ("highest", False)])
def test_precision_and_memory_format(
    precision: Any, tf32: bool, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    module = acgan()
    make_trainer(max_steps=1, callbacks=[Acceleration(precision)]).fit(module, make_data())
    assert torch.get_float32_matmul_precision() == precision
    assert torch.backends.cudnn.allow_tf32 is tf32
    assert module.generator.upsample[2].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.usefixtures("backend")
def test_callbacks_run_networks_eagerly(
    configs: Any, ganmc: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[bool] = []

    def record(generator: nn.Module, device: torch.device) -> Tensor:
        compiled.append(generator._compiled_call_impl is not None)
        return torch.tensor(1.0)

    monkeypatch.setattr(collapse_stopping, "sample_std", record)
    stopping = '{"class_path": "ganmc_lightning.callbacks.GeneratorCollapseStopping", "init_args": {"%s": 1}}'
    stopping %= "every_n_train_steps"
    limits = ["--trainer.max_steps", "3", "--trainer.limit_val_batches", "0", "--trainer.callbacks", f"[{stopping}]"]
    settings = ["--acceleration.compile", "auto", "--acceleration.float32_matmul_precision", "highest"]
    done = ganmc("fit", "--config", configs.acgan, *limits, *settings)
    assert done.status == 0, done.err
    assert compiled == [False] * 3


def test_nothing_changes_on_the_cpu(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    module = acgan()
    make_trainer(max_steps=1, callbacks=[Acceleration(compile="auto")]).fit(module, make_data())
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
    assert module.generator.upsample[2].weight.is_contiguous()
