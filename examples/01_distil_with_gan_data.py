# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Distil a classifier with the help of a GAN
#
# The whole chain of GAN-MC in one page of Python: a teacher, an AC-GAN, and students that learn the teacher's
# logits on real digits, on generated ones, and on a mixture. It needs no download and no GPU and takes less than
# a minute.
#
# The trainings are far too short to judge the method by. `ganmc reproduce digits` is the measurement: longer
# trainings, several seeds, and baselines that need no GAN.

# %%
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from torch.optim import Adam, Optimizer

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.callbacks.sample_grid import draw_grid, save_grid
from ganmc_lightning.data import GANAugmentedDataModule, RandomCropFlip
from ganmc_lightning.data.datasets import Digits
from ganmc_lightning.losses import HingeACGANLoss
from ganmc_lightning.modules import ACGANModule, ClassifierModule, DistillationModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, FiveLayerCNN, MLPClassifier, load_network
from ganmc_lightning.synthesizers import GeneratorSynthesizer

TEACHER_EPOCHS = 15
GAN_EPOCHS = 40
STUDENT_EPOCHS = 40
RUN = Path("runs/example")

# %% [markdown]
# Every training below is Lightning's own `Trainer`. The modules ask nothing of it: choose devices, precision,
# loggers and callbacks as for any LightningModule.


# %%
def make_trainer(epochs: int, *callbacks: Callback) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        default_root_dir=RUN,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        check_val_every_n_epoch=epochs,
        num_sanity_val_steps=0,
    )


def adam(parameters) -> Optimizer:
    return Adam(parameters, lr=2e-3)


def gan_adam(parameters) -> Optimizer:
    return Adam(parameters, lr=1e-3, betas=(0.5, 0.999))


def test_accuracy(module, data) -> float:
    return make_trainer(1).test(module, data, verbose=False)[0]["test/accuracy"]


# %% [markdown]
# ## The teacher
#
# Any `nn.Module` from images to logits will do. Images are float `(N, C, H, W)` in [-1, 1]; the data module
# decodes, augments and later mixes them.

# %%
seed_everything(0)
teacher = ClassifierModule(FiveLayerCNN(in_channels=1, image_size=8, widths=[32, 64, 64, 128], batch_norm=True), adam)
data = GANAugmentedDataModule(Digits(), batch_size=64, augment=RandomCropFlip(padding=1, flip=False))
make_trainer(TEACHER_EPOCHS).fit(teacher, data)
print(f"teacher: {test_accuracy(teacher, data):.3f}")

# %% [markdown]
# ## The GAN
#
# `GeneratorEMA` keeps an average of the generator's weights and saves that average in the checkpoint, so the
# generator is taken from there. A run started from Python writes no recipe of its networks: a network of the
# right shape is handed to `load_network`.

# %%
image = {"image_size": 8, "channels": 1}
gan = ACGANModule(
    ACGANGenerator(**image, latent_size=32, width=16),
    ACGANDiscriminator(**image, width=8, normalization="spectral", dropout=0.0),
    HingeACGANLoss(),
    generator_optimizer=gan_adam,
    discriminator_optimizer=gan_adam,
)
gan_trainer = make_trainer(GAN_EPOCHS, GeneratorEMA(decay=0.99))
gan_trainer.fit(gan, GANAugmentedDataModule(Digits(), batch_size=64))
gan_trainer.save_checkpoint(RUN / "gan.ckpt", weights_only=False)  # with the callback's average
generator = load_network(str(RUN / "gan.ckpt"), "generator", ACGANGenerator(**image, latent_size=32, width=16))
save_grid(draw_grid(generator, columns=10, device=torch.device("cpu")), RUN / "samples.png")
print(f"its samples, one class a row: {RUN / 'samples.png'}")

# %% [markdown]
# ## The students
#
# `p_fake` is the share of synthetic samples in the stream. Every student starts from the same weights and takes
# the same number of steps.

# %%
for p_fake in (0.0, 0.5, 1.0):
    seed_everything(0, verbose=False)
    student = DistillationModule(
        teacher.network, MLPClassifier(in_features=64, num_classes=10, hidden=[64]), optimizer=adam
    )
    stream = GANAugmentedDataModule(Digits(), GeneratorSynthesizer(generator), p_fake=p_fake, batch_size=64)
    make_trainer(STUDENT_EPOCHS).fit(student, stream)
    print(f"student, p_fake = {p_fake}: {test_accuracy(student, stream):.3f}")
