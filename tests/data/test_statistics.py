from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.statistics import FROM_FILES, IN_MEMORY, channel_statistics, row_statistics


def images(n, channels=3):
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, channels, 4, 5), dtype=torch.uint8, generator=random)


class Files(Dataset):
    """Images returned one by one."""

    sample_shape = (3, 4, 5)

    def __init__(self, n):
        self.inputs, self.seen = images(n), []

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        self.seen.append(index)
        return self.inputs[index], torch.tensor(0)


def test_channels_in_memory():
    inputs = images(50)
    found = channel_statistics(TensorDataset(inputs, torch.zeros(50, dtype=torch.int64)))
    values = inputs.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, values.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.std, values.std(axis=(0, 2, 3)), rtol=1e-12)


def test_few_of_many_evenly_spaced():
    files = Files(10 * FROM_FILES)
    found = channel_statistics(files)
    assert len(files.seen) == FROM_FILES
    assert (files.seen[0], files.seen[-1]) == (0, 10 * FROM_FILES - 1)
    assert set(np.diff(files.seen)) <= {10, 11}
    np.testing.assert_allclose(found.mean, files.inputs.double().mean(dim=(0, 2, 3)) / 255, atol=0.03)
    blank = TensorDataset(torch.zeros(IN_MEMORY + 1, 1, 2, 2, dtype=torch.uint8), torch.zeros(IN_MEMORY + 1))
    assert channel_statistics(blank).std.tolist() == [1 / 255]


def test_no_images():
    assert channel_statistics(TensorDataset(torch.zeros(5, 0), torch.zeros(5))) is None
    assert channel_statistics(TensorDataset(images(0), torch.zeros(0))) is None


def test_rows():
    table = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    scaler = RowScaler.fit(table, quantile_transform=True)
    found = row_statistics(scaler)
    assert torch.equal(found.mean, scaler.mean)
    assert torch.equal(found.std, scaler.std)
    assert len(found.quantiles) == 3
