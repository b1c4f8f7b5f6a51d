"""Load a state dict of another program into a network: prefixes of its names, and errors that name the difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.wrappers import plain_name, rename_weights

NAME_PREFIXES = ("model.", "network.", "net.", "student.", "teacher.")
"""Usual attributes of a LightningModule for its network; the first under which all its weights are is used."""


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    """Load a state dict into a network.

    Names may have the prefixes of ``torch.compile`` and ``DistributedDataParallel``, and a common prefix such as
    ``model.`` of a LightningModule; weights without this prefix, such as those of a loss, are then ignored.

    Args:
        network: network of the weights.
        weights: tensors by name.
        path: file of the weights, for error messages.

    Raises:
        ConfigurationError: names or shapes differ.

    Example:
        >>> network = nn.Linear(1, 1, bias=False)
        >>> load_weights(network, {"model.weight": network.weight + 1}, "demo.pt")
    """
    state = network.state_dict()
    renamed = _without_prefix(rename_weights(weights, state), state)
    missing, unexpected = _absent(state, renamed), _absent(renamed, state)
    if missing or unexpected:
        raise ConfigurationError(
            f"{path}: its weights do not match {type(network).__name__}: {_names('missing', missing)}, "
            f"{_names('unexpected', unexpected)}; expected the class and arguments that it was trained with"
        )
    wrong = [name for name in state if name in renamed and renamed[name].shape != state[name].shape]
    if wrong:
        raise ConfigurationError(f"{path}: {_shape_problem(network, wrong, renamed, state)}")
    network.load_state_dict(renamed, strict=False)


def _without_prefix(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefix with which all names of the network are in ``weights``; without one, return all weights."""
    required = [name for name in state if not _optional(name)]
    if not required or all(name in weights for name in required):
        return dict(weights)
    plain = {plain_name(name): value for name, value in weights.items()}
    matching = (prefix for prefix in NAME_PREFIXES if all(f"{prefix}{name}" in plain for name in required))
    prefix = next(matching, None)
    if prefix is None:
        return dict(weights)
    return {name.removeprefix(prefix): value for name, value in plain.items() if name.startswith(prefix)}


def _absent(names: Iterable[str], others: Mapping[str, Tensor]) -> list[str]:
    return [name for name in names if name not in others and not _optional(name)]


def _optional(name: str) -> bool:
    """Whether a name is that of the batch counter of batch normalization, which old files lack."""
    return name.rpartition(".")[2] == "num_batches_tracked"


def _names(kind: str, names: list[str]) -> str:
    shown = f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return f"{len(names)} {kind}{shown}"


def _shape_problem(
    network: nn.Module, wrong: list[str], actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> str:
    """Describe shapes that differ; if only the rows of one layer do, it is the head with one row per class."""
    rows = {(actual[name].shape[:1], expected[name].shape[:1]) for name in wrong}
    layers = {name.rpartition(".")[0] for name in wrong}
    same_columns = all(actual[name].shape[1:] == expected[name].shape[1:] for name in wrong)
    if len(layers) == 1 and len(rows) == 1 and same_columns and all(actual[name].dim() for name in wrong):
        ((got, due),) = rows
        return (
            f"layer '{layers.pop()}' has weights of {got[0]} classes, expected {due[0]} as in "
            f"{type(network).__name__}; set num_classes: {got[0]}, or use data with these {got[0]} classes"
        )
    name = wrong[0]
    return (
        f"{len(wrong)} weights have other shapes than in {type(network).__name__}: {name} is "
        f"{tuple(actual[name].shape)}, expected {tuple(expected[name].shape)}"
    )
