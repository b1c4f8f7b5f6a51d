"""Load a trained network: from a checkpoint of this package, a file with weights, or a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.network_reference import is_reference
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Discriminator, Generator
from ganmc_lightning.networks.checkpoints import (
    generator_submodule,
    is_own_checkpoint,
    read_checkpoint,
    trained_submodule,
)
from ganmc_lightning.networks.external import (
    ClassifierOptions,
    describe_classes,
    load_by_reference,
    load_file,
    read_external,
    wrapper_arguments,
)
from ganmc_lightning.networks.libraries import Preprocessing
from ganmc_lightning.networks.pretrained import Outputs, PretrainedClassifier
from ganmc_lightning.networks.recipe_metadata import load_described
from ganmc_lightning.networks.recipes import in_recipe, recipe_loader
from ganmc_lightning.networks.submodules import load_submodule
from ganmc_lightning.networks.training_data import get_training_data, set_training_data
from ganmc_lightning.networks.weight_files import file_format


@recipe_loader
def load_network(
    path: str,
    submodule: str | None = None,
    network: nn.Module | None = None,
    *,
    num_classes: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    trust: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    image_size: int | None = None,
    outputs: Outputs = "logits",
    class_names: Sequence[str] | None = None,
) -> nn.Module:
    """Load a network with its trained weights, on the CPU, in evaluation mode.

    ``path`` is one of:

    * a checkpoint of this package, or a ``.safetensors`` file of ``ganmc export``; neither needs a further argument;
    * a ``state_dict``, also nested in a training checkpoint, or a ``.safetensors`` file, with ``network``;
    * a network of ``torch.export`` (``.pt2``);
    * a reference: ``torchvision:NAME``, ``timm:NAME``, ``hf:ORG/NAME``, ``hf:FOLDER`` or ``MODULE:FACTORY`` (function
      or class of own code), with ``:WEIGHTS_FILE``; without a file, the pretrained weights of the library are
      downloaded.

    A network that this package did not train is wrapped by :class:`~ganmc_lightning.networks.PretrainedClassifier`,
    which normalizes images in [-1, 1] as the network requires and returns one tensor of logits. Mean and standard
    deviation are the arguments, or those that timm, torchvision or ``preprocessor_config.json`` document, or none
    (images in [-1, 1]). The classes are attached to the network and compared with those of the data.

    Files are read with ``weights_only=True`` and run no code, unless ``trust`` is true.

    Args:
        path: file or reference.
        submodule: name of the network in a checkpoint, such as ``"network"``, ``"student"`` or ``"generator"``
            (default: the trained one).
        network: network to load the weights into; required for files that contain only weights.
        num_classes: K, for references (default: that of the library).
        arguments: further keyword arguments of the function or class of a reference.
        trust: whether pickled objects may be loaded, which runs code from the file (default: False).
        mean: per-channel mean of the network's training images in [0, 1].
        std: per-channel standard deviation, required with ``mean``.
        image_size: height and width to which images are resized (default: they are not resized).
        outputs: ``"logits"``, or ``"probabilities"`` for a network that ends with a softmax.
        class_names: names of the classes in the order of the outputs; empty for unnamed classes (default: those of the
            checkpoint or of the library's configuration).

    Raises:
        ConfigurationError: the file is missing, damaged or of another type; a library or a network does not exist; or
            weights, sizes or classes do not match the network.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> with TemporaryDirectory() as folder:
        ...     torch.save({"model_state_dict": nn.Linear(4, 3).state_dict()}, f"{folder}/teacher.pt")
        ...     teacher = load_network(f"{folder}/teacher.pt", network=nn.Linear(4, 3))
        >>> teacher(torch.zeros(2, 4)).shape
        torch.Size([2, 3])
    """
    options = ClassifierOptions(num_classes, arguments, trust, mean, std, image_size, outputs, class_names)
    if in_recipe() and (trust or is_reference(path)):
        raise ConfigurationError(
            f"{path}: got a recipe with {'trust' if trust else 'a reference'}, which may read other files; pass the "
            "network: load_network(path, submodule, network)"
        )
    if is_reference(path):
        if network is not None or submodule is not None:
            raise ConfigurationError(f"{path}: got a reference with network or submodule, expected only the reference")
        return load_by_reference(path, options)
    if submodule is not None and file_format(path) == "safetensors":
        raise ConfigurationError(f"{path}: got the submodule {submodule!r}, expected none: the file has one network")
    content = read_checkpoint(path) if submodule is not None else read_external(path, trust)
    if in_recipe() and content is None:
        raise ConfigurationError(f"{path}: got a recipe that refers to an exported network, expected a checkpoint")
    loaded = _load_own(path, content, submodule, network)
    return load_file(path, content, network, options) if loaded is None else _adapt(loaded, options, path)


def _load_own(path: str, content: Any, submodule: str | None, network: nn.Module | None) -> nn.Module | None:
    """Load a network of a checkpoint of this package or of a file with its recipe; return None for other files."""
    if submodule is not None or is_own_checkpoint(content):
        return load_submodule(content, submodule or trained_submodule(content, path), path, network)
    return load_described(path, content) if network is None and isinstance(content, Mapping) else None


def _adapt(network: nn.Module, options: ClassifierOptions, path: str) -> nn.Module:
    """Apply the options of :func:`load_network` to a network of this package."""
    if options.arguments:
        raise ConfigurationError(
            f"{path}: got arguments {dict(options.arguments)}, expected none: the checkpoint contains them"
        )
    if needs_wrapper(options):
        spec = get_training_data(network)
        network = PretrainedClassifier(network, **wrapper_arguments(Preprocessing(), options, path)).eval()
        if spec is not None:
            set_training_data(network, spec)
    return describe_classes(network, Preprocessing(), options, path)


def needs_wrapper(options: ClassifierOptions) -> bool:
    """Whether a network of this package, which accepts images in [-1, 1], is used with other inputs or outputs."""
    given = (options.mean, options.std, options.image_size)
    return any(value is not None for value in given) or options.outputs != "logits"


@recipe_loader
def load_generator(path: str, submodule: str | None = None) -> Generator:
    """Load a generator; see :func:`load_network`.

    Args:
        path: checkpoint of a GAN or of a compressed generator, or a ``.safetensors`` file of ``ganmc export``.
        submodule: name of the generator in a checkpoint (default: ``"generator"``, or ``"student"`` of a compressed
            generator).

    Raises:
        ConfigurationError: as :func:`load_network`, or the network is not a generator.
    """
    if file_format(path) == "safetensors":
        network, name = load_network(path, submodule), "the network"
    else:
        checkpoint = read_checkpoint(path)
        submodule = submodule or generator_submodule(checkpoint)
        network, name = load_submodule(checkpoint, submodule, path), f"'{submodule}'"
    if not isinstance(network, Generator):
        raise ConfigurationError(f"{path}: {name} is a {type(network).__name__}, expected a generator")
    return network


@recipe_loader
def load_acgan_discriminator(path: str, submodule: str = "discriminator") -> ClassConditionalDiscriminator:
    """Load the discriminator of an AC-GAN, to continue training; see :func:`load_network`.

    Args:
        path: checkpoint of an AC-GAN.
        submodule: name of the discriminator.

    Raises:
        ConfigurationError: as :func:`load_network`, or the submodule is not a discriminator of an AC-GAN.
    """
    network = load_network(path, submodule)
    if not isinstance(network, ClassConditionalDiscriminator):
        raise ConfigurationError(
            f"{path}: '{submodule}' is a {type(network).__name__}, expected a discriminator of an AC-GAN"
        )
    return network


@recipe_loader
def load_discriminator(path: str, submodule: str = "discriminator") -> Discriminator:
    """Load the discriminator of an unconditional GAN, to continue training; see :func:`load_network`.

    Args:
        path: checkpoint of a GAN.
        submodule: name of the discriminator.

    Raises:
        ConfigurationError: as :func:`load_network`, or the submodule is not a discriminator of an unconditional GAN.
    """
    network = load_network(path, submodule)
    if not isinstance(network, Discriminator):
        raise ConfigurationError(
            f"{path}: '{submodule}' is a {type(network).__name__}, expected a discriminator without class logits"
        )
    return network
