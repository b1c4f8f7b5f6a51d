"""Images that are both in the test split and in another one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.data.splits import Split
from ganmc_lightning.io.folders import is_later_process
from ganmc_lightning.io.samples import sample_digests


def warn_of_duplicates(others: Sequence[Split], test: Split, where: str) -> None:
    """Warn about test images in memory that are also training or validation images.

    Args:
        others: training and validation samples.
        test: test samples.
        where: folder or file, for the message.
    """
    if is_later_process() or not isinstance(test, TensorDataset):
        return  # reading all files would take as long as an epoch
    known = {digest for data in others if isinstance(data, TensorDataset) for digest in sample_digests(data.inputs)}
    count = sum(digest in known for digest in sample_digests(test.inputs))
    if count:
        warnings.warn(
            f"{where}: {count} of {len(test)} test images are identical to training or validation images, so that test "
            "metrics are too high; remove the copies",
            stacklevel=3,
        )
