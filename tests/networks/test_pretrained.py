"""Normalization, resizing and outputs of classifiers of other libraries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import PretrainedClassifier
from ganmc_lightning.networks.validation import check_classifier


class Answer(nn.Module):
    """Return an object made of the channel means of the inputs."""

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, inputs: Tensor) -> Any:
        return self.make(inputs.mean(dim=(2, 3)))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_statistics_of_images_in_0_1(images):
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    network = PretrainedClassifier(nn.Identity(), mean, std)
    expected = transforms.normalize((images + 1) / 2, list(mean), list(std))
    torch.testing.assert_close(network(images), expected)


def test_half_and_half_is_the_range_of_the_package(images):
    network = PretrainedClassifier(nn.Identity(), (0.5,) * 3, (0.5,) * 3)
    torch.testing.assert_close(network(images), images, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda logits: logits,
        lambda logits: (logits, "features"),
        lambda logits: [logits],
        lambda logits: {"loss": None, "logits": logits},
        lambda logits: OrderedDict(logits=logits, hidden_states=()),
    ],
)
def test_outputs_are_unwrapped(make, images):
    assert torch.equal(PretrainedClassifier(Answer(make))(images), images.mean(dim=(2, 3)))


def test_model_output_of_transformers(images):
    outputs = pytest.importorskip("transformers.modeling_outputs")
    network = Answer(lambda logits: outputs.ImageClassifierOutput(logits=logits))
    assert torch.equal(PretrainedClassifier(network)(images), images.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("make", "described"),
    [
        (lambda _: {"scores": 1, "boxes": 2}, "a dict with scores, boxes"),
        (lambda _: (), "a tuple"),
        (lambda _: "text", "a str"),
        (lambda logits: ({"logits": logits},), "a tuple"),
    ],
)
def test_outputs_without_logits(make, described):
    with pytest.raises(ConfigurationError, match=f"the network returned {described}, expected logits"):
        check_classifier("model.teacher", PretrainedClassifier(Answer(make)), DataSpec((3, 4, 4), 3))


def test_probabilities_become_logits(images):
    logits = images.mean(dim=(2, 3)) * 9
    network = PretrainedClassifier(Answer(lambda means: (means * 9).softmax(dim=1)), outputs="probabilities")
    torch.testing.assert_close(network(images), logits.log_softmax(dim=1), rtol=1e-5, atol=1e-5)
    zero = PretrainedClassifier(Answer(lambda means: torch.zeros_like(means)), outputs="probabilities")
    assert zero(images).isfinite().all()


def test_probabilities_are_noticed():
    network = PretrainedClassifier(Answer(lambda means: means.softmax(dim=1)))
    with pytest.raises(ConfigurationError, match=r"returned probabilities .* outputs=\"probabilities\""):
        check_classifier("model.teacher", network, DataSpec((3, 4, 4), 3))


def test_resized_images(images):
    network = PretrainedClassifier(nn.Identity(), image_size=5, resize=True)
    expected = transforms.resize(images, [5, 5], antialias=True)
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(network(expected), expected)


def test_another_size_is_refused(images):
    network = PretrainedClassifier(nn.Flatten(), image_size=5)
    with pytest.raises(ConfigurationError, match="got images of 12 x 12 pixels, expected 5 x 5; set image_size: 5"):
        network(images)
    assert network(images[:, :, :5, :5]).shape == (4, 75)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": (0.5,)}, "mean and std: got mean"),
        ({"std": (0.5,)}, "mean and std: got mean None"),
        ({"mean": (0.5,), "std": (0.0,)}, "std: got"),
        ({"image_size": 0}, "image_size: got 0, expected 1 or more"),
        ({"resize": True}, "resize: got true without image_size"),
        ({"outputs": "log"}, "outputs: got 'log', expected 'logits' or 'probabilities'"),
    ],
)
def test_refused_arguments(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        PretrainedClassifier(nn.Identity(), **arguments)


def test_statistics_are_not_weights():
    assert set(PretrainedClassifier(nn.Linear(1, 1), (0.5,), (0.5,)).state_dict()) == {
        "network.weight",
        "network.bias",
    }


def test_outputs_in_another_order(images):
    network = PretrainedClassifier(Answer(lambda logits: logits), class_order=[2, 0, 1])
    assert torch.equal(network(images), images.mean(dim=(2, 3))[:, [2, 0, 1]])
    assert not network.state_dict()
    assert [buffer.device.type for buffer in network.to("meta").buffers()] == ["meta"]  # indexes without a copy
    with pytest.raises(ConfigurationError, match=r"class_order: got \[0, 0, 1\], expected each position"):
        PretrainedClassifier(nn.Identity(), class_order=[0, 0, 1])


def test_replaced_arguments(images):
    network = PretrainedClassifier(nn.Flatten(), (0.5,) * 3, (0.25,) * 3, 6, True, class_order=[1, 0])
    network.statistics_source = "timm"
    replaced = network.replace(class_order=None)
    assert torch.equal(replaced(images)[:, [1, 0]], network(images))
    assert replaced.statistics_source == "timm"
