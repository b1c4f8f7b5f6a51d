"""Messages of Lightning that do not apply to the runs of this package."""

from __future__ import annotations

import logging
import warnings


def filter_lightning_warnings() -> None:
    """Hide Lightning's tips, and the warnings that do not apply here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        "GPU available but not used.*",  # Apple GPUs have no float64
        ".*smaller than the logging interval.*",  # metrics are logged once per epoch
        ".*it is recommended to use `Trainer\\(devices=1.*",  # the sampler never repeats a sample to fill a batch
        ".*in eval mode at the start of training.*",  # the frozen teacher
        ".*Checkpoint directory .* exists and is not empty.*",  # resumed run
        ".*The dirpath has changed.*",  # run started from the checkpoint of another run: its best metric is unrelated
        ".*Using ModelCheckpoint with manual optimization.*",  # weights after the optimizer step are intended
        "The .grad attribute of a Tensor that is not a leaf.*",  # torch.compile, for generated samples
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # Lightning 2.6 with torch >= 2.11
    ):
        warnings.filterwarnings("ignore", message)
