"""Objects of a shipped configuration, built without Lightning."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

TRAINED: list[nn.Module] = []
"""Networks with an optimizer."""


def build(value: Any) -> Any:
    """Build nested ``class_path`` and ``init_args``; return other values unchanged."""
    if isinstance(value, dict) and "class_path" in value:
        return _find(value["class_path"])(**{key: build(item) for key, item in value.get("init_args", {}).items()})
    return value


def build_network(value: Any) -> nn.Module:
    """Build a network, which may be given by its class path only, on the device."""
    network: nn.Module = (build(value) if isinstance(value, dict) else _find(value)()).to(DEVICE)
    return network


def build_frozen(value: Any) -> nn.Module:
    """Build a network in evaluation mode and without gradients."""
    return build_network(value).eval().requires_grad_(False)


def build_optimizer(value: dict[str, Any], network: nn.Module) -> torch.optim.Optimizer:
    """Build an optimizer of a network's parameters, with the faster implementation of Adam."""
    TRAINED.append(network)
    kind = _find(value["class_path"])
    faster = {"fused": True} if kind is torch.optim.Adam else {}
    optimizer: torch.optim.Optimizer = kind(network.parameters(), **{**faster, **value.get("init_args", {})})
    return optimizer


def load_images(path: str, count: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Load the first ``count`` training images uint8 (N, H, W, C) and their labels int64 (N,)."""
    with np.load(path) as arrays:
        return arrays["train_images"][:count], arrays["train_labels"][:count].astype(np.int64)


def autocast(precision: str) -> torch.autocast:
    """Return the context of a Lightning precision, ``32-true`` or ``bf16-mixed``."""
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bf16-mixed")


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 images to floats in [-1, 1]."""
    return images.float().mul_(2 / 255).sub_(1)


def _find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
