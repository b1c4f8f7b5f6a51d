# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The Compression Score without Lightning
#
# The Compression Score (GAN-MC, section 5) compares two students trained on the teacher's logits, one on generated
# samples $D$ and one on real samples:
#
# $$\text{score} = \frac{\text{acc}(D) - \text{acc}_0}{\text{acc}(D_\text{real}) - \text{acc}_0}$$
#
# with accuracies on held-out real data and chance accuracy $\text{acc}_0$. The real data themselves score 1,
# useless samples about 0.

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
import torch
from sklearn.datasets import load_digits
from torch import nn

from ganmc_lightning.metrics import CompressionScore, compression_score

TEACHER_STEPS = 600
SEEDS = (0, 1, 2)

# %% [markdown]
# ## Data and teacher
#
# Tensors and a PyTorch training loop. Images are float `(N, 1, 8, 8)` in [-1, 1]; uint8 images are supported too.

# %%
torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
labels = torch.tensor(digits.target)
order = torch.randperm(len(labels))
train, held_out = order[:1200], order[1200:]

teacher = nn.Sequential(
    nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 10)
)
optimizer = torch.optim.Adam(teacher.parameters(), lr=1e-3)
for _ in range(TEACHER_STEPS):
    index = train[torch.randint(len(train), (64,))]
    loss = nn.functional.cross_entropy(teacher(images[index]), labels[index])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
accuracy = (teacher(images[held_out]).argmax(1) == labels[held_out]).double().mean()
print(f"teacher: {accuracy:.3f}")


# %% [markdown]
# ## Sample sets
#
# The paper's variant trains each student for five epochs. There are only 1,200 real samples here, so the batches
# are small and the learning rate is high; the defaults fit tens of thousands of samples.


# %%
def make_student() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


real = images[train]
held_out_data = (images[held_out], labels[held_out])
sample_sets = {
    "real": real,
    "real, jittered": (real + 0.2 * torch.randn_like(real)).clamp(-1, 1),
    "ten real samples": real[:10],
    "digit 0 only": real[labels[train] == 0],
    "noise": torch.rand_like(real) * 2 - 1,
}
real_accuracies = None  # of the students of the real data, which are trained once
for name, samples in sample_sets.items():
    score = compression_score(
        samples,
        real,
        held_out_data,
        teacher=teacher,
        student=make_student,
        seeds=SEEDS,
        batch_size=16,
        learning_rate=5e-3,
        real_accuracies=real_accuracies,
    )
    real_accuracies = score.real_accuracies
    print(f"{name:<16} {score.mean:6.3f} ± {score.standard_error:.3f} (standard error, {len(SEEDS)} seeds)")

# %% [markdown]
# On images of 8 pixels even noise gives a high score. The score measures how useful samples are for this student and
# this teacher, not how realistic they are.
#
# ## As a metric
#
# `CompressionScore` is a torchmetrics `Metric` that computes the score from batches, and synchronizes processes.

# %%
metric = CompressionScore(teacher, make_student, held_out_data, seeds=SEEDS, batch_size=16, learning_rate=5e-3)
for batch in real.split(256):
    metric.update(batch, real=True)
for batch in sample_sets["real, jittered"].split(256):
    metric.update(batch, real=False)
print(f"real, jittered, batch by batch: {metric.compute().mean:.3f}")
