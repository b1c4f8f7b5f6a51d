"""Classifiers of other libraries with their own normalization, input size and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.normalize import Normalize

Outputs = Literal["logits", "probabilities"]


class PretrainedClassifier(nn.Module):
    """Classifier of another library, used on images in [-1, 1] and returning one tensor of logits.

    The inputs are resized and normalized as the network requires. Of a tuple or list, the first item is returned; of a
    mapping or a Hugging Face ``ModelOutput``, the item ``logits``.

    Args:
        network: image classifier (N, C, H, W).
        mean: per-channel mean of its training images in [0, 1]; None for a network of images in [-1, 1].
        std: per-channel standard deviation, required with ``mean``.
        image_size: height and width of the network's inputs (default: any).
        resize: whether images of another size are resized to ``image_size`` (bilinear, antialiased); if not, they raise
            an error (default: False).
        outputs: what the network returns: ``"logits"``, or ``"probabilities"``, of which the logarithm is returned
            (default: ``"logits"``).
        class_order: for each class of the data, its position in the network's outputs (default: equal order).

    Attributes:
        statistics_source: library whose configuration ``mean`` and ``std`` are from, ``"default"`` for those of images
            in [-1, 1]; "" if they were passed.

    Raises:
        ConfigurationError: only one of ``mean`` and ``std`` is given; ``resize`` without ``image_size``; another
            value of ``outputs``; or ``class_order`` is not a permutation.

    Example:
        >>> network = PretrainedClassifier(nn.Sequential(nn.Flatten(), nn.Softmax(1)), outputs="probabilities")
        >>> network(torch.zeros(1, 2, 1, 1)).exp()
        tensor([[0.5000, 0.5000]])
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        image_size: int | None = None,
        resize: bool = False,
        outputs: Outputs = "logits",
        class_order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if (mean is None) != (std is None):
            raise ConfigurationError(f"mean and std: got mean {mean} and std {std}, expected both or neither")
        if image_size is not None and image_size < 1:
            raise ConfigurationError(f"image_size: got {image_size}, expected 1 or more")
        if resize and image_size is None:
            raise ConfigurationError("resize: got true without image_size, expected the size of the network's inputs")
        if outputs not in get_args(Outputs):
            raise ConfigurationError(f"outputs: got '{outputs}', expected 'logits' or 'probabilities'")
        if class_order is not None and sorted(class_order) != list(range(len(class_order))):
            raise ConfigurationError(
                f"class_order: got {list(class_order)}, expected each position of the outputs once"
            )
        self._order: Tensor | None
        self.network = network
        self.normalize: nn.Module = nn.Identity() if mean is None or std is None else Normalize(mean, std)
        self.mean, self.std = mean, std
        self.image_size = image_size
        self.resize = resize
        self.outputs = outputs
        self.class_order = class_order
        # A list as index would be copied to the GPU in each forward pass.
        self.register_buffer("_order", None if class_order is None else torch.tensor(class_order), persistent=False)
        self.statistics_source = ""

    def replace(self, **arguments: Any) -> PretrainedClassifier:
        """Return a classifier of the same network, in evaluation mode, with some arguments replaced.

        Args:
            arguments: name -> value of each argument to replace.

        Example:
            >>> network = PretrainedClassifier(nn.Flatten(), [0.5], [0.5])
            >>> network.replace(class_order=[1, 0])(torch.tensor([[[[1.0, 2.0]]]]))
            tensor([[2., 1.]])
        """
        names = ("mean", "std", "image_size", "resize", "outputs", "class_order")
        replaced = PretrainedClassifier(self.network, **{**{name: getattr(self, name) for name in names}, **arguments})
        replaced.statistics_source = self.statistics_source
        return replaced.eval()

    def extra_repr(self) -> str:
        """Return the arguments besides the statistics."""
        order = "" if self.class_order is None else f", class_order={list(self.class_order)}"
        return f"image_size={self.image_size}, resize={self.resize}, outputs={self.outputs!r}{order}"

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W) in [-1, 1].

        Raises:
            ConfigurationError: the images have another size than ``image_size`` and ``resize`` is false.
            TypeError: the network returns an object without logits.
        """
        logits = first_tensor(self.network(self.normalize(self._resized(inputs))))
        if self.outputs == "probabilities":
            logits = logits.clamp_min(torch.finfo(logits.dtype).tiny).log()
        return logits if self._order is None else logits.index_select(1, self._order)

    def _resized(self, inputs: Tensor) -> Tensor:
        size = self.image_size
        if size is None or tuple(inputs.shape[2:]) == (size, size):
            return inputs
        if not self.resize:
            raise ConfigurationError(
                f"{type(self.network).__name__}: got images of {inputs.shape[2]} x {inputs.shape[3]} pixels, expected "
                f"{size} x {size}; set image_size: {size} to resize them, or build the network for this size"
            )
        return F.interpolate(inputs, (size, size), mode="bilinear", align_corners=False, antialias=True)


def first_tensor(output: Any) -> Tensor:
    """Return the logits in the output of a classifier.

    Args:
        output: a tensor; a tuple or list that begins with it; or a mapping with ``logits``.

    Raises:
        TypeError: there is no such tensor.

    Example:
        >>> first_tensor({"loss": None, "logits": torch.ones(1)})
        tensor([1.])
    """
    found = output
    if isinstance(output, Mapping):  # ModelOutput of transformers is an OrderedDict
        found = output.get("logits")
    elif isinstance(output, tuple | list) and len(output) > 0:
        found = output[0]
    if not isinstance(found, Tensor):
        keys = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        raise TypeError(f"the network returned a {type(output).__name__}{keys}, expected logits")
    return found
