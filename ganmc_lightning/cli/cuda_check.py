"""Setting of PyTorch on machines without CUDA."""

from __future__ import annotations

import os

import torch

VARIABLE = "PYTORCH_NVML_BASED_CUDA_CHECK"


def skip_nvml_without_cuda() -> None:
    """Let ``torch.cuda.is_available`` ask the CUDA runtime instead of NVML, if there is no CUDA device.

    Optimizers call it in every step. Lightning selects NVML, which is safe in processes that are forked later, but
    searching for its library takes 50 microseconds, as long as a few layers of a small network.
    """
    if not torch.cuda.is_available():
        os.environ[VARIABLE] = "0"
