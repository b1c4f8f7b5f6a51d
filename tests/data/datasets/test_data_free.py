from __future__ import annotations

import pytest

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import DataFreeSource
from ganmc_lightning.exceptions import ConfigurationError


def test_epochs_of_nothing(tmp_path):
    root = tmp_path / "never made"
    data = GANAugmentedDataModule(DataFreeSource(100, 7), batch_size=32, root=str(root))
    data.prepare_data()
    data.setup()
    assert not root.exists()
    assert data.spec.sample_shape == (0,)
    assert not data.spec.has_samples
    batches = [data.augment_and_mix(*batch) for batch in data.train_dataloader()]
    assert [batch.inputs.shape for batch in batches] == [(32, 0)] * 2  # 90 in the training part
    assert all((batch.labels == UNKNOWN_LABEL).all() for batch in batches)
    assert [len(labels) for _, labels, _ in data.val_dataloader()] == [10]
    assert [len(labels) for _, labels, _ in data.test_dataloader()] == [7]


@pytest.mark.parametrize("sizes", [(1, 5), (5, 0)])
def test_bad_sizes(sizes):
    with pytest.raises(ConfigurationError, match=r"DataFreeSource: got size"):
        DataFreeSource(*sizes)
