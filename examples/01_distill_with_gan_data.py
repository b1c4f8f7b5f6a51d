# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Distill a classifier with GAN data
#
# The method of GAN-MC: a teacher, an AC-GAN, and students trained on the teacher's logits for real digits, for
# generated digits, and for a mixture. This example needs no download and no GPU and takes less than a minute.
#
# The trainings are too short to evaluate the method. `ganmc reproduce digits --seeds 0,1,2` has longer trainings, three
# seeds, and baselines without a GAN.

# %% [markdown]
# On Colab, upload the wheel that `pip wheel --no-deps .` writes in a checkout; the next cell installs it. Where the
# package is installed, the cell does nothing.

# %%
import subprocess
import sys
from importlib.util import find_spec

SOURCE = "ganmc_lightning-0.1.0-py3-none-any.whl"  # or "git+https://..." with the address of the repository
if find_spec("ganmc_lightning") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", SOURCE], check=True)

# %%
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from torch.optim import Adam, Optimizer

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.callbacks.sample_grid import sample_per_class
from ganmc_lightning.data import GANAugmentedDataModule, RandomCropFlip
from ganmc_lightning.data.datasets import Digits
from ganmc_lightning.io.image_grid import save_image_grid
from ganmc_lightning.losses import ACGANLoss, HingeGANLoss
from ganmc_lightning.modules import ACGANModule, ClassifierModule, DistillationModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, FiveLayerCNN, MLPClassifier, load_network
from ganmc_lightning.synthesizers import GeneratorSynthesizer

TEACHER_EPOCHS = 15
GAN_EPOCHS = 40
STUDENT_EPOCHS = 40
RUN = Path("runs/example")

# %% [markdown]
# All trainings use Lightning's `Trainer`. Devices, precision, loggers and callbacks are set as for any
# LightningModule.


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
# ## Teacher
#
# The teacher can be any `nn.Module` from images to logits. Images are float `(N, C, H, W)` in [-1, 1]; the data
# module converts, augments and later mixes them.

# %%
seed_everything(0)
teacher = ClassifierModule(FiveLayerCNN(in_channels=1, image_size=8, widths=[32, 64, 64, 128], batch_norm=True), adam)
data = GANAugmentedDataModule(Digits(), batch_size=64, augment=RandomCropFlip(padding=1, flip=False))
make_trainer(TEACHER_EPOCHS).fit(teacher, data)
print(f"teacher: {test_accuracy(teacher, data):.3f}")

# %% [markdown]
# ## GAN
#
# `GeneratorEMA` averages the generator's weights; after the training, and in the checkpoint, the generator has the
# average. The next cell loads it from the checkpoint, as a later program would. A run started from Python writes no
# recipe of its networks: pass a network of the same architecture to `load_network`.

# %%
image = {"image_size": 8, "channels": 1}
gan = ACGANModule(
    ACGANGenerator(**image, latent_dim=32, width=16),
    ACGANDiscriminator(**image, width=8, normalization="spectral", dropout=0.0),
    ACGANLoss(HingeGANLoss()),
    generator_optimizer=gan_adam,
    discriminator_optimizer=gan_adam,
)
gan_trainer = make_trainer(GAN_EPOCHS, GeneratorEMA(decay=0.99))
gan_trainer.fit(gan, GANAugmentedDataModule(Digits(), batch_size=64))
gan_trainer.save_checkpoint(RUN / "gan.ckpt", weights_only=False)  # includes the average of the callback
generator = load_network(str(RUN / "gan.ckpt"), "generator", ACGANGenerator(**image, latent_dim=32, width=16))
save_image_grid(sample_per_class(generator, columns=10, device=torch.device("cpu")), 10, RUN / "samples.png")
print(f"samples, one class per row: {RUN / 'samples.png'}")

# %% [markdown]
# ## Students
#
# `p_fake` is the share of synthetic samples in training. All students have equal initial weights and take equally
# many steps.

# %%
for p_fake in (0.0, 0.5, 1.0):
    seed_everything(0, verbose=False)
    student = DistillationModule(
        teacher.network, MLPClassifier(in_features=64, num_classes=10, hidden=[64]), optimizer=adam
    )
    mixed = GANAugmentedDataModule(Digits(), GeneratorSynthesizer(generator), p_fake=p_fake, batch_size=64)
    make_trainer(STUDENT_EPOCHS).fit(student, mixed)
    print(f"student, p_fake = {p_fake}: {test_accuracy(student, mixed):.3f}")
