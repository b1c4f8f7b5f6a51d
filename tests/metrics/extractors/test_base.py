from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import ClassifierExtractor
from ganmc_lightning.metrics.extractors.base import compute_digest
from ganmc_lightning.networks import LeNet4, MLPClassifier


@pytest.fixture
def regularised():
    """A network with another output in training mode."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 3))


class TestNeverChanges:
    def test_stays_in_evaluation_mode(self, regularised, make_images):
        extractor = ClassifierExtractor(regularised)
        before = copy.deepcopy(extractor.state_dict())
        holder = nn.ModuleList([extractor]).train()
        assert not any(module.training for module in extractor.modules())
        first, second = (holder[0](make_images(20, 0)) for _ in range(2))
        assert torch.equal(first.features, second.features)
        assert all(torch.equal(before[key], value) for key, value in extractor.state_dict().items())

    def test_requires_no_gradients_and_builds_no_graph(self, image_extractor, make_images):
        assert not any(parameter.requires_grad for parameter in image_extractor.parameters())
        features, logits = image_extractor(to_float_images(make_images(4, 0)).requires_grad_())
        assert not features.requires_grad
        assert not logits.requires_grad

    def test_copies_share_it(self, image_extractor):
        assert copy.deepcopy([image_extractor])[0] is image_extractor

    def test_pickle(self, image_extractor, make_images):
        thawed = pickle.loads(pickle.dumps(image_extractor))
        images = make_images(4, 0)
        assert torch.equal(thawed(images).features, image_extractor(images).features)
        assert thawed.settings() == image_extractor.settings()


class TestSameForTheSame:
    def test_bytes_and_floats(self, image_extractor, make_images):
        images = make_images(10, 0)
        one, other = image_extractor(images), image_extractor(to_float_images(images))
        assert torch.equal(one.features, other.features)
        assert torch.equal(one.logits, other.logits)

    def test_any_batch_size(self, image_extractor, make_images):
        images = make_images(10, 0)
        together = image_extractor(images).features
        apart = torch.cat([image_extractor(image).features for image in images.split(3)])
        assert torch.allclose(together, apart, rtol=1e-5, atol=1e-5)

    def test_autocast(self, image_extractor, make_images):
        images = make_images(10, 0)
        with torch.autocast("cpu", torch.bfloat16):
            inside = image_extractor(images)
        assert inside.features.dtype == inside.logits.dtype == torch.float32
        assert torch.equal(inside.features, image_extractor(images).features)

    @pytest.mark.parametrize(("matmul", "convolutions"), [("high", True), ("highest", False)])
    def test_tf32(self, image_extractor, make_images, matmul, convolutions):
        """Training on CUDA uses TensorFloat-32; it is off in the network only."""

        def precisions():
            return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision

        inside = []
        before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        hook = image_extractor.network.register_forward_hook(lambda *_: inside.append(precisions()))
        try:
            torch.set_float32_matmul_precision(matmul)
            torch.backends.cudnn.allow_tf32 = convolutions
            image_extractor(make_images(4, 0))
            assert set(inside) == {("ieee", "ieee")}
            assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == (matmul, convolutions)
            assert ("tf32" in precisions()) is convolutions
        finally:
            hook.remove()
            torch.set_float32_matmul_precision(before[0])
            torch.backends.cudnn.allow_tf32 = before[1]

    def test_inference_mode(self, image_extractor, make_images):
        images = make_images(10, 0)
        with torch.inference_mode():
            inside = image_extractor(images).features
        assert torch.equal(inside, image_extractor(images).features)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
    def test_rows_of_another_precision(self, rows_extractor, make_rows, dtype):
        rows = make_rows(5, 0).half()
        assert torch.equal(rows_extractor(rows.to(dtype)).features, rows.float())


def test_nothing_given(image_extractor):
    features, logits = image_extractor(torch.zeros(0, 1, 8, 8, dtype=torch.uint8))
    assert features.shape == (0, 12)
    assert logits.shape == (0, 3)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.full((2, 1, 8, 8), 3.0), r"expected \[-1, 1\]"),
        (torch.full((2, 1, 8, 8), torch.nan), "NaN"),
        (torch.zeros(2, 3, 8, 8), r"does not accept samples of shape \(3, 8, 8\)"),
        (torch.zeros(2, 1, 9, 17), r"does not accept samples of shape \(1, 9, 17\)"),
        (torch.zeros(2, 64), r"does not accept samples of shape \(64,\)"),
    ],
)
def test_refused(image_extractor, samples, message):
    with pytest.raises(ConfigurationError, match=message):
        image_extractor(samples)


class TestDigest:
    def test_the_same_network(self):
        one, other = LeNet4(), LeNet4()
        other.load_state_dict(one.state_dict())
        assert compute_digest(one, "") == compute_digest(other, "")
        assert len(compute_digest(one, "")) == 16

    def test_one_weight(self):
        network = LeNet4()
        before = compute_digest(network, "")
        with torch.no_grad():
            network.classifier.bias[3] += 1e-3
        assert compute_digest(network, "") != before

    def test_a_buffer(self, regularised):
        before = compute_digest(regularised, "")
        regularised[2].running_mean[0] = 1
        assert compute_digest(regularised, "") != before

    def test_architecture(self):
        one, other = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        other.load_state_dict(one.state_dict())
        assert compute_digest(one, "") != compute_digest(other, "")

    def test_layer(self):
        network = MLPClassifier(8, 3, (6, 5))
        digests = {ClassifierExtractor(network, layer, (8,)).digest for layer in (None, "features.1", "features.4")}
        assert len(digests) == 3
