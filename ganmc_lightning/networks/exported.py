"""Networks exported by ``torch.export``, which need no class."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.node import map_aggregate

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.archives import check_archive
from ganmc_lightning.networks.checkpoints import relevant_line
from ganmc_lightning.networks.exported_check import check_program
from ganmc_lightning.networks.pretrained import Outputs

METADATA_FILE = "metadata.json"
"""Name of the metadata that ``ganmc export`` stores in the archive."""


class ExportedNetwork(NamedTuple):
    """Network of a ``.pt2`` file.

    Attributes:
        network: the graph and its weights; its mode is fixed, and it can be moved to another device.
        sample_shape: shape of one input without dynamic sizes: ``(C, H, W)``, or empty.
        num_classes: number of outputs of one sample; 0 if unknown.
        class_names: names of the classes in a file of ``ganmc export``; empty if unknown.
        outputs: ``"probabilities"`` for a file of ``ganmc export --probabilities``, else ``"logits"``.
    """

    network: nn.Module
    sample_shape: tuple[int, ...]
    num_classes: int
    class_names: tuple[str, ...] = ()
    outputs: Outputs = "logits"


def load_exported(path: str, trust: bool = False) -> ExportedNetwork:
    """Load a network that was saved by ``torch.export.save``.

    Args:
        path: the file.
        trust: whether pickled objects in the file may be loaded, which runs code from the file (default: False).

    Raises:
        ConfigurationError: the file cannot be read, the network has other inputs than one batch of samples, or its
            batch size is fixed.
    """
    check_archive(path)
    if not trust:
        check_program(path)
    extra: dict[str, Any] = {METADATA_FILE: ""}  # torch.export.load does not fill an empty mapping
    try:
        with _weights_only(not trust):
            program = torch.export.load(path, extra_files=extra)
    except Exception as error:  # any type on invalid data
        raise ConfigurationError(
            f"{path}: cannot be read as a network of torch.export: {relevant_line(error)}"
        ) from error
    inputs = program.graph_signature.user_inputs
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    sample = values.get(str(inputs[0])) if len(inputs) == 1 else None
    if not isinstance(sample, Tensor) or sample.dim() < 2:
        raise ConfigurationError(f"{path}: got a network of {len(inputs)} inputs, expected one batch of samples")
    if not sample.is_floating_point():
        raise ConfigurationError(
            f"{path}: got a network of {str(sample.dtype).removeprefix('torch.')} inputs, expected float samples; "
            "export it without --uint8"
        )
    if isinstance(sample.shape[0], int):
        raise ConfigurationError(
            f"{path}: got a network of the fixed batch size {sample.shape[0]}, expected any; export it with "
            "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},) and an example of 2 or more samples"
        )
    shape = tuple(sample.shape[1:])
    outputs = [values.get(str(name)) for name in program.graph_signature.user_outputs]
    classes = outputs[0].shape[-1] if outputs and isinstance(outputs[0], Tensor) and outputs[0].dim() == 2 else 0
    graph = program.module()
    if sample.dtype != torch.float32:  # the package computes in float32
        dtype = sample.dtype
        _replace_arguments(graph.float(), lambda value: torch.float32 if value == dtype else value)
    network = _MovableGraph(graph)
    fixed = all(isinstance(size, int) for size in shape)
    count = classes if isinstance(classes, int) else 0
    class_names, kind = _read_metadata(extra[METADATA_FILE], path)
    return ExportedNetwork(network, shape if fixed else (), count, class_names, kind)


class _MovableGraph(nn.Module):
    """Exported graph whose operations follow its weights to another device.

    ``torch.export`` records the device of the export in operations such as ``arange`` and in assertions, which fail
    after the weights are moved.
    """

    device_probe: Tensor

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        # Exported modules refuse train() and eval(); their graph does not depend on the flag that these methods set.
        vars(graph).pop("train", None)
        vars(graph).pop("eval", None)
        self.graph = graph
        self.register_buffer("device_probe", torch.empty(0), persistent=False)  # a graph may have no weights

    def forward(self, inputs: Tensor) -> Any:
        return self.graph(inputs)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        before = self.device_probe.device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.device_probe.device != before:
            device = self.device_probe.device
            _replace_arguments(self.graph, lambda value: device if isinstance(value, torch.device) else value)
        return self


def _replace_arguments(graph: nn.Module, replace: Callable[[Any], Any]) -> None:
    """Replace arguments of all operations, such as devices and data types."""
    for module in graph.modules():
        if isinstance(module, GraphModule):
            for node in module.graph.nodes:
                node.args, node.kwargs = map_aggregate(node.args, replace), map_aggregate(node.kwargs, replace)
            module.recompile()


def _read_metadata(text: str, path: str) -> tuple[tuple[str, ...], Outputs]:
    """Return the class names and the kind of outputs in the metadata of ``ganmc export``; "" for other files."""
    if not text:
        return (), "logits"
    try:
        metadata = json.loads(text)
        class_names = tuple(map(str, json.loads(metadata["class_names"])))
        outputs = str(metadata.get("outputs", ""))
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{path}: its metadata are damaged ({type(error).__name__}: {error})") from error
    return class_names, "probabilities" if outputs.startswith("probabilities:") else "logits"


@contextmanager
def _weights_only(enabled: bool) -> Iterator[None]:
    """Let every ``torch.load`` raise on pickled objects: ``torch.export.load`` has no argument for it."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    if enabled:
        os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
