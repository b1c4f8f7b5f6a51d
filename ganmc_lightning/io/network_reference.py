"""References to networks in one text: ``timm:resnet18:weights.safetensors``, parsed without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ganmc_lightning.exceptions import ConfigurationError

LIBRARIES = ("torchvision", "timm", "hf")
"""Names of libraries in references; any other name is a module with a function or class that builds a network."""
FORMS = "'torchvision:NAME', 'timm:NAME', 'hf:ORG/NAME' or 'MODULE:FACTORY', each with an optional ':WEIGHTS_FILE'"


class NetworkReference(NamedTuple):
    """Network of a library or of own code, and the file with its weights.

    Attributes:
        library: ``"torchvision"``, ``"timm"``, ``"hf"`` (Hugging Face ``transformers``), or the name of a module.
        name: architecture, ``ORG/NAME`` or folder, or a function or class of the module.
        weights: path of the file with the weights; None without one.
    """

    library: str
    name: str
    weights: str | None = None

    def __str__(self) -> str:
        return ":".join(filter(None, self))


def is_reference(text: str) -> bool:
    """Whether a text has the form of a reference and is not the path of a file.

    Example:
        >>> is_reference("timm:resnet18"), is_reference("runs/12:30/best.ckpt"), is_reference("teacher.pt")
        (True, False, False)
    """
    library, colon, rest = text.partition(":")
    if not colon or not rest or Path(text).exists():
        return False
    if library in LIBRARIES:
        return True
    return _is_dotted_name(library) and _is_dotted_name(rest.partition(":")[0])


def parse_reference(text: str) -> NetworkReference:
    """Split a reference into library, name and weights file.

    The name of an ``hf`` folder may contain colons: if the rest of the text is a folder, there is no weights file. A
    ``~`` in front of a weights file is the home folder; shells do not expand it within a word.

    Args:
        text: ``torchvision:NAME``, ``timm:NAME``, ``hf:ORG/NAME``, ``hf:FOLDER`` or ``MODULE:FACTORY``, each optionally
            followed by ``:WEIGHTS_FILE``.

    Raises:
        ConfigurationError: the text has another form.

    Example:
        >>> parse_reference("timm:resnet18:weights.safetensors")
        NetworkReference(library='timm', name='resnet18', weights='weights.safetensors')
        >>> parse_reference("my_models:make_teacher")
        NetworkReference(library='my_models', name='make_teacher', weights=None)
    """
    if not is_reference(text):
        raise ConfigurationError(f"got the network '{text}', expected {FORMS}")
    library, _, rest = text.partition(":")
    name, colon, weights = rest.partition(":")
    if library == "hf":
        name, colon, weights = (rest, "", "") if Path(rest).is_dir() else rest.rpartition(":")
        name, weights = (name, weights) if name else (weights, "")
    if not name or (colon and not weights):
        raise ConfigurationError(f"got the network '{text}', expected {FORMS}")
    return NetworkReference(library, name, str(Path(weights).expanduser()) if weights else None)


def _is_dotted_name(text: str) -> bool:
    return all(step.isidentifier() for step in text.split("."))
