"""Networks on the Hugging Face Hub: ``save_pretrained``, ``from_pretrained`` and ``push_to_hub``.

Requires the extra ``hub``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.dependencies import check_packages
from ganmc_lightning.io.input_files import check_regular_file
from ganmc_lightning.networks.allocation import AllocationLimit
from ganmc_lightning.networks.checkpoints import relevant_line
from ganmc_lightning.networks.loading import load_network
from ganmc_lightning.networks.profiling import count_parameters
from ganmc_lightning.networks.recipe_metadata import spec_from_json, to_jsonable
from ganmc_lightning.networks.recipes import instantiate_network
from ganmc_lightning.networks.resolving import find_recipe
from ganmc_lightning.networks.training_data import get_training_data, set_training_data

check_packages(["huggingface_hub"], extra="hub", purpose="from_pretrained and push_to_hub")

from huggingface_hub import ModelCard, PyTorchModelHubMixin, hf_hub_download  # noqa: E402
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError  # noqa: E402

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
DOWNLOAD_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token")
"""Arguments of ``from_pretrained`` for the download of a file."""
CARD = """\
---
{{ card_data }}
---

# {{ title }}

{{ parameters }} parameters. Inputs: {{ inputs }}. Outputs: {{ outputs }}.

```python
from ganmc_lightning.export.hub import HubNetwork

network = HubNetwork.from_pretrained("ORG/NAME")  # or a folder
```
{% if classes %}
Classes, in the order of the outputs: {{ classes }}.
{% endif %}{% if metrics %}
| metric | value |
|---|---|
{% for name, value in metrics.items() %}| {{ name }} | {{ value }} |
{% endfor %}{% endif %}"""


class HubNetwork(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="ganmc_lightning",
    tags=["knowledge-distillation", "model-compression"],
    model_card_template=CARD,
):
    """Network of this package with ``save_pretrained``, ``from_pretrained`` and ``push_to_hub`` of ``huggingface_hub``.

    A repository contains ``config.json`` (recipe and classes), ``model.safetensors`` and ``README.md``. Its recipe can
    only refer to the networks that a checkpoint can refer to, so that a repository runs no code of its own.

    Args:
        recipe: ``class_path`` and ``init_args`` of the network.
        trained_on: specification of its training data, as in a checkpoint (default: unknown).

    Raises:
        ConfigurationError: the recipe is not that of a network.

    Example:
        >>> recipe = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 2, "out_features": 3}}
        >>> HubNetwork(recipe)(torch.zeros(1, 2)).shape
        torch.Size([1, 3])
    """

    def __init__(self, recipe: dict[str, Any], trained_on: dict[str, Any] | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=()):  # initial weights of other networks must not depend on loading one
            self.network = instantiate_network(recipe, CONFIG_FILE)
        if trained_on is not None:
            set_training_data(self.network, spec_from_json(trained_on))

    @classmethod
    def from_checkpoint(cls, path: str, submodule: str | None = None) -> Self:
        """Load the network of a checkpoint, or of a ``.safetensors`` file of ``ganmc export``.

        Args:
            path: file.
            submodule: name of the network in a checkpoint (default: the trained one).

        Raises:
            ConfigurationError: as :func:`~ganmc_lightning.networks.load_network`, or the file contains no recipe.
        """
        network = load_network(path, submodule)
        recipe = find_recipe(path, submodule)
        if recipe is None:
            raise ConfigurationError(f"{path}: got no recipe of its network, expected a checkpoint of ganmc fit")
        values = to_jsonable(recipe, get_training_data(network))
        wrapped = cls(**values)
        wrapped.network.load_state_dict(network.state_dict())
        return wrapped.eval()

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **arguments: Any) -> Self:
        """Load a repository in evaluation mode, which old releases of ``huggingface_hub`` do not set.

        The memory of the network is limited by the size of its weights, as for a checkpoint.

        Raises:
            ConfigurationError: there is no recipe; there are no weights, they cannot be downloaded, are damaged or do
                not match the network, or the network of the recipe is much larger than they are.
        """
        if "recipe" not in arguments:
            raise ConfigurationError(
                f"{model_id}: got no recipe in {CONFIG_FILE}, expected a repository of HubNetwork.save_pretrained"
            )
        path = str(Path(model_id, WEIGHTS_FILE))
        if not Path(model_id).is_dir():
            options = {name: arguments[name] for name in DOWNLOAD_OPTIONS}
            try:
                path = hf_hub_download(model_id, WEIGHTS_FILE, **options)
            except (EntryNotFoundError, HfHubHTTPError) as error:
                reason = one_line(error)
                raise ConfigurationError(f"{model_id}: {WEIGHTS_FILE} cannot be downloaded: {reason}") from error
            arguments["force_download"] = False  # downloaded above
        check_regular_file(path, "weights not found")
        try:
            with AllocationLimit(path):
                network: Self = super()._from_pretrained(model_id=model_id, **{"strict": True, **arguments})
        except (RuntimeError, SafetensorError) as error:
            raise ConfigurationError(f"{path}: its weights cannot be loaded: {relevant_line(error)}") from error
        return network.eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the output of the network: logits of samples, or samples of latents and labels."""
        outputs: Tensor = self.network(*inputs)
        return outputs

    def generate_model_card(self, *, metrics: Mapping[str, Any] | None = None, title: str = "") -> ModelCard:
        """Return the model card, ``README.md``.

        Args:
            metrics: values by name, such as ``{"test accuracy": 0.95}`` (default: none).
            title: heading (default: the class of the network).
        """
        spec = get_training_data(self.network)
        shape = "" if spec is None else f" ({', '.join(map(str, ('N', *spec.sample_shape)))})"
        generator = hasattr(self.network, "sample_latents")
        images = spec is not None and len(spec.sample_shape) == 3
        samples = f"float32 {'images' if images else 'samples'}{shape}{' in [-1, 1]' if images else ''}"
        card: ModelCard = super().generate_model_card(
            title=title or type(self.network).__name__,
            parameters=f"{count_parameters(self.network):,}",
            inputs="latents, and labels if conditional" if generator else samples,
            outputs=samples if generator else "logits",
            classes=", ".join(spec.class_names) if spec is not None else "",
            metrics=dict(metrics or {}),
        )
        return card
