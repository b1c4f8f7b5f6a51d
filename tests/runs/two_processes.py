"""Train on two gloo processes until SIGTERM reaches the second: ``two_processes.py FOLDER DATA``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.modules import ClassifierModule
from ganmc_lightning.networks import MLPClassifier
from ganmc_lightning.runs.checkpoint_callback import RunModelCheckpoint


class Terminate(Callback):
    """Send SIGTERM to rank 1 at step 3."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 3:
            os.kill(os.getpid(), signal.SIGTERM)


def main(folder: Path, data: Path) -> None:
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_epochs=4,
        callbacks=[RunModelCheckpoint(folder / "checkpoints"), Terminate()],
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    try:
        trainer.fit(
            ClassifierModule(MLPClassifier(64, 3, hidden=())), GANAugmentedDataModule(NpzFile(data), batch_size=3)
        )
    except SIGTERMException:
        (folder / f"rank{trainer.global_rank}").write_text(str(trainer.global_step))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
