from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy

from ganmc_lightning.callbacks import GeneratorCollapseStopping, GeneratorEMA, GeneratorMetricsMonitor, SampleGrid
from ganmc_lightning.callbacks.collapse_stopping import sample_std
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError, DivergenceError
from ganmc_lightning.metrics import ClassifierExtractor
from ganmc_lightning.modules import ACGANModule, GANModule
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    Generator,
    MLPClassifier,
)

MakeData = Callable[..., GANAugmentedDataModule]
pytestmark = pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning")


def gan() -> GANModule:
    return GANModule(DCGANGenerator(8, 1, latent_dim=6, width=4), DCGANDiscriminator(8, 1, width=4))


class Spoil(Callback):
    """Sets the bias of the generator's last layer in one batch, to simulate a collapsed generator."""

    def __init__(self, batch: int, value: float) -> None:
        self.batch = batch
        self.value = value

    @torch.no_grad()
    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.batch:
            last = pl_module.generator.layers[-2]
            last.weight.zero_()
            last.bias.fill_(self.value)


def test_a_converging_run_is_not_stopped(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(max_epochs=3, callbacks=[GeneratorCollapseStopping(1, min_std=1e-4, patience=1)])
    trainer.fit(gan(), make_data())
    assert trainer.global_step == 9


def test_rank_0_decides_for_all_processes(
    make_data: MakeData, make_trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broadcast(self: SingleDeviceStrategy, obj: Any, src: int = 0) -> Any:
        return 0.0 if isinstance(obj, float) else obj  # rank 0 computes 0

    monkeypatch.setattr(SingleDeviceStrategy, "broadcast", broadcast)
    trainer = make_trainer(max_epochs=3, callbacks=[GeneratorCollapseStopping(1, min_std=1e-4, patience=1)])
    with pytest.warns(UserWarning, match="generates \\(nearly\\) equal samples after 1 batches"):
        trainer.fit(gan(), make_data())
    assert trainer.current_epoch == 1


def test_samples_that_are_not_finite_end_the_run_with_an_error(
    make_data: MakeData, make_run_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    callbacks = [GeneratorCollapseStopping(2), Spoil(5, float("nan"))]
    trainer = make_run_trainer(tmp_path, callbacks, max_epochs=9)
    with pytest.raises(DivergenceError, match=r"its samples are not finite after 6 batches; .*so far is best\.ckpt"):
        trainer.fit(gan(), make_data())
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["iteration"] == 3
    assert all(torch.isfinite(value).all() for value in best["state_dict"].values())


def test_equal_samples_for_all_latents_stop_training(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    """Training stops after three consecutive failed checks; with learning rate 0, the module does not change."""
    module = gan()
    module._generator_optimizer = partial(torch.optim.SGD, lr=0.0)
    trainer = make_trainer(max_epochs=9, callbacks=[GeneratorCollapseStopping(2, 1e-4, patience=3), Spoil(5, 0.7)])
    with pytest.warns(UserWarning, match="generates \\(nearly\\) equal samples after 10 batches"):
        trainer.fit(module, make_data())
    assert trainer.global_step == 10


def test_a_look_that_passes_starts_the_count_anew(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    guard = GeneratorCollapseStopping(1, min_std=10.0, patience=5)  # no image spreads that far
    trainer = make_trainer(max_epochs=1, callbacks=[guard])
    trainer.fit(gan(), make_data())
    assert guard.state_dict() == {"batches": 3, "failed": 3}
    later = GeneratorCollapseStopping(1, min_std=0.0, patience=5)
    later.load_state_dict(guard.state_dict())
    make_trainer(max_steps=1, callbacks=[later]).fit(gan(), make_data())
    assert later.state_dict() == {"batches": 4, "failed": 0}


@pytest.mark.parametrize("classes", [0, 3])
def test_spread_by_hand_and_nothing_used_up(classes: int) -> None:
    torch.manual_seed(0)
    generator = ACGANGenerator(8, 1, 3, 6, 4) if classes else DCGANGenerator(8, 1, 6, 4)
    before = torch.get_rng_state()
    statistics = {name: value.clone() for name, value in generator.state_dict().items()}
    spread = sample_std(generator, torch.device("cpu"))
    assert torch.equal(before, torch.get_rng_state())
    assert generator.training
    latents = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    drawn = (latents, torch.arange(64) % 3) if classes else (latents,)
    images = generator.eval()(*drawn).detach()
    groups = [images[drawn[1] == label] for label in range(3)] if classes else [images]
    by_hand = [(x - x.mean(dim=0)).square().sum(dim=0).div(len(x) - 1).sqrt().mean() for x in groups]
    torch.testing.assert_close(spread, torch.stack(by_hand).mean(), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(value, generator.state_dict()[name]) for name, value in statistics.items())


class OneImagePerClass(Generator):
    """Gray images whose level depends on the class, plus noise."""

    def __init__(self, num_classes: int, noise: float) -> None:
        super().__init__(4, num_classes, (1, 8, 8))
        self.noise = noise

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        assert labels is not None
        level = labels / self.num_classes + self.noise * latents[:, 0]
        return level.view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_collapse_to_one_image_per_class(classes: int) -> None:
    assert sample_std(OneImagePerClass(classes, noise=0.0), torch.device("cpu")) == 0
    spread = sample_std(OneImagePerClass(classes, noise=0.5), torch.device("cpu"))
    assert spread.item() == pytest.approx(0.5, rel=0.2)


def test_works_for_other_generators(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    module = ACGANModule(ACGANGenerator(8, 1, 3, 6, 4), ACGANDiscriminator(8, 1, 3, 2))
    stopping = GeneratorCollapseStopping(1, min_std=10.0, patience=5)
    make_trainer(max_steps=2, callbacks=[stopping]).fit(module, make_data())
    assert stopping.state_dict() == {"batches": 2, "failed": 2}


def test_works_for_compiled_generators(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    """The callbacks run the generator inside the wrapper."""
    module, stopping = gan(), GeneratorCollapseStopping(1, min_std=10.0, patience=5)
    module.generator = torch.compile(module.generator, backend="eager")
    metrics = GeneratorMetricsMonitor(ClassifierExtractor(MLPClassifier(64, 3)), ("laplacian_variance",))
    callbacks = [stopping, SampleGrid(columns=2), metrics, GeneratorEMA()]
    trainer = make_trainer(max_epochs=1, callbacks=callbacks)
    trainer.fit(module, make_data())
    assert stopping.state_dict()["failed"] == 3
    assert list((Path(trainer.default_root_dir) / "samples").iterdir())
    assert "val/laplacian_variance_ratio" in trainer.callback_metrics


def test_refusals(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    for arguments, named in (
        ({"every_n_train_steps": 0}, "every_n_train_steps: got 0, expected at least 1"),
        ({"patience": 0}, "patience"),
        ({"min_std": -0.1}, "min_std"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            GeneratorCollapseStopping(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="'student' is not a generator"):
        make_trainer(max_epochs=1, callbacks=[GeneratorCollapseStopping(submodule="student")]).fit(gan(), make_data())
