"""Normalize: hand-computed values, dtype, what the state dict holds, bad arguments."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Normalize, NormalizedInput, SubtractMeanImage

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_values_by_channel():
    layer = Normalize((0.5, 0.25), (0.5, 0.1))
    images = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 2, 3, 3)
    outputs = layer(images)
    # black: (0 - 0.5) / 0.5 = -1 and (0 - 0.25) / 0.1 = -2.5;  white: 1 and 7.5
    assert torch.allclose(outputs[:, :, 0, 0], torch.tensor([[-1.0, -2.5], [1.0, 7.5]]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(outputs, outputs[:, :, :1, :1].expand_as(outputs), rtol=1e-5, atol=1e-6)


def test_like_torchvisions_transform():
    transforms = pytest.importorskip("torchvision.transforms.functional")
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = transforms.normalize(images, *IMAGENET)
    assert torch.allclose(Normalize(*IMAGENET)(images * 2 - 1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_one_value_per_channel(channels):
    with pytest.raises(ConfigurationError, match=f"got 3 values for images with {channels} channels, expected one per"):
        Normalize(*IMAGENET)(torch.zeros(1, channels, 2, 2))
    with pytest.raises(ConfigurationError, match="got 1 values for images with 3 channels"):
        Normalize((0.5,), (0.5,))(torch.zeros(1, 3, 2, 2))


def test_images_are_left_alone():
    images = torch.zeros(1, 3, 2, 2, requires_grad=True)
    Normalize(*IMAGENET)(images).sum().backward()
    assert not images.any()
    expected = torch.tensor([0.5 / std for std in IMAGENET[1]]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert torch.allclose(images.grad, expected, rtol=1e-5, atol=1e-6)


def test_statistics_are_no_state_but_follow_the_network():
    network = nn.Sequential(Normalize(*IMAGENET), nn.Conv2d(3, 1, 1))
    assert set(network.state_dict()) == {"1.weight", "1.bias"}
    assert network.double()(torch.zeros(1, 3, 2, 2, dtype=torch.float64)).dtype == torch.float64
    assert network.to("meta")[0].mean.device.type == "meta"


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5,), (0.5, 0.5), "^mean and std: got 1 and 2 values"),
        ((0.5, 0.5), (0.5, 0.0), "^std: got .*, expected positive values"),
        ((0.5,), (float("nan"),), "^std: got .*, expected positive values"),
    ],
)
def test_bad_statistics(mean, std, message):
    with pytest.raises(ConfigurationError, match=message):
        Normalize(mean, std)


class TestSubtractMeanImage:
    def test_every_pixel_has_mean_zero_and_keeps_its_scale(self):
        images = torch.randint(0, 256, (2500, 2, 3, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        layer = SubtractMeanImage((2, 3, 3))
        layer.fit(images)
        outputs = layer(to_float_images(images))
        torch.testing.assert_close(outputs.mean(dim=0), torch.zeros(2, 3, 3), rtol=0, atol=1e-3)
        expected = images.double() - images.double().mean(dim=0)
        torch.testing.assert_close(outputs.double(), expected, rtol=1e-5, atol=1e-3)

    def test_mean_image_is_in_the_state_dict(self):
        layer, other = SubtractMeanImage((1, 2, 2)), SubtractMeanImage((1, 2, 2))
        layer.fit(torch.full((3, 1, 2, 2), 7, dtype=torch.uint8))
        other.load_state_dict(layer.state_dict())
        assert torch.equal(other.mean, torch.full((1, 2, 2), 7.0))

    def test_other_shape(self):
        with pytest.raises(ConfigurationError, match=r"got \(1, 2, 2\), expected \(1, 3, 3\) as in the data"):
            SubtractMeanImage((1, 2, 2)).fit(torch.zeros(4, 1, 3, 3, dtype=torch.uint8))


def test_normalized_input_runs_both_and_names_the_layers():
    network = NormalizedInput(Normalize((0.5,), (0.25,)), nn.Sequential(nn.Flatten(), nn.Linear(3, 2)))
    images = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    assert torch.equal(network(images), network.network(torch.tensor([-2.0, 0.0, 2.0]).view(1, 1, 1, 3)))
    assert {name for name, _ in network.named_parameters()} == {"network.1.weight", "network.1.bias"}
