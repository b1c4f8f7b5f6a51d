"""Store the weights of a file of `ganmc export --format safetensors` in half precision.

python scripts/half_weights.py IN.safetensors OUT.safetensors

Loading restores float32 networks, whose weights then have 11 significant bits. Biases and statistics of normalization
layers stay float32. The recipe in the metadata is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ganmc_lightning.io.atomic import atomic_write


def main() -> None:
    """Read one file and write the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    source, target = arguments.source, arguments.target
    try:
        with safe_open(source, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            metadata = file.metadata()
    except (OSError, SafetensorError) as error:
        parser.error(f"{source}: cannot be read as safetensors: {error}")
    if not all(value.isfinite().all() for value in weights.values()):
        parser.error(f"{source}: got weights that are NaN or infinite, expected finite ones")
    halved = {
        name: value.half() if value.dtype == torch.float32 and value.dim() > 1 else value
        for name, value in weights.items()
    }
    if not all(value.isfinite().all() for value in halved.values()):
        parser.error(f"{source}: got weights outside the range of half precision, expected at most 65,504")
    with atomic_write(target, "wb") as file:
        file.write(save(halved, metadata))
    print(f"{target}: {target.stat().st_size:,} bytes, largest difference {largest_difference(weights, halved):.1e}")


def largest_difference(weights: dict[str, torch.Tensor], halved: dict[str, torch.Tensor]) -> float:
    """Return the largest absolute rounding error."""
    return max(
        (float((value - halved[name].to(value.dtype)).abs().max()) for name, value in weights.items()), default=0.0
    )


if __name__ == "__main__":
    main()
