# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The Compression Score, with no Lightning in sight
#
# GAN-MC judges samples by the student they teach: a fresh student learns the teacher's logits on the samples,
# another one on the real data, and
#
# $$\text{score} = \frac{\text{acc}(D) - \text{acc}_0}{\text{acc}(D_\text{real}) - \text{acc}_0}$$
#
# with accuracies on held-out real data. The real data score about 1, samples that teach nothing about 0.

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
# Plain tensors and a plain training loop. Images are float `(N, 1, 8, 8)` in [-1, 1]; uint8 images serve as well.

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
# ## Candidates to judge
#
# The form of the paper trains each student for five passes over the real data. Here these are 1,200 samples, so
# the batches are small and the learning rate is high: with the defaults, made for tens of thousands of samples,
# no student would get beyond chance and the score would be noise.


# %%
def make_student() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


real = images[train]
held_out_data = (images[held_out], labels[held_out])
candidates = {
    "real": real,
    "real, jittered": (real + 0.2 * torch.randn_like(real)).clamp(-1, 1),
    "ten real samples": real[:10],
    "zeros only": real[labels[train] == 0],
    "noise": torch.rand_like(real) * 2 - 1,
}
for name, samples in candidates.items():
    score = compression_score(
        samples, real, held_out_data, teacher, make_student, "paper", SEEDS, batch_size=16, learning_rate=5e-3
    )
    print(f"{name:<16} {score.mean:6.3f} ± {score.standard_error:.3f} (standard error, {len(SEEDS)} seeds)")

# %% [markdown]
# On pictures this small even noise teaches much of what the teacher knows: a score says how well samples teach
# *this* student from *this* teacher, not how real they look.
#
# ## As a metric
#
# The same number as a torchmetrics `Metric`, which collects its samples batch by batch and, over several
# processes, from all of them.

# %%
metric = CompressionScore(teacher, make_student, held_out_data, seeds=SEEDS, batch_size=16, learning_rate=5e-3)
for batch in real.split(256):
    metric.update(batch, real=True)
for batch in candidates["real, jittered"].split(256):
    metric.update(batch, real=False)
print(f"real, jittered, batch by batch: {metric.compute().mean:.3f}")
