"""Networks of torch.export: any batch size, training mode, fixed sizes, damage."""

from __future__ import annotations

import copy
import io
import os
import zipfile

import pytest
import torch
from torch import nn
from torch.export import Dim

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Frozen, load_network
from ganmc_lightning.networks.exported import load_exported
from ganmc_lightning.networks.training_data import get_training_data
from ganmc_lightning.networks.validation import check_classifier


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3)).eval()


def export(module, inputs, path, dynamic=True):
    shapes = tuple({0: Dim.DYNAMIC} for _ in inputs) if dynamic else None
    torch.export.save(torch.export.export(module, inputs, dynamic_shapes=shapes), path)
    return str(path)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return export(network(), (torch.zeros(2, 1, 4, 4),), tmp_path_factory.mktemp("pt2") / "teacher.pt2")


def test_any_batch_size_and_no_class(path):
    loaded = load_network(path, class_names=["a", "b", "c"])
    for batch_size in (1, 2, 5):
        images = torch.randn(batch_size, 1, 4, 4)
        torch.testing.assert_close(loaded(images), network()(images))
    spec = get_training_data(loaded)
    assert (spec.sample_shape, spec.num_classes, spec.class_names) == ((1, 4, 4), 3, ("a", "b", "c"))


def test_frozen_teacher(path):
    """Exported networks refuse train() and eval(), which every parent module calls."""
    frozen = Frozen(load_network(path)).train()
    images = torch.randn(3, 1, 4, 4)
    torch.testing.assert_close(frozen(images), network()(images))
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


class DeviceDependent(nn.Module):
    """Network whose exported operations name the device of the export."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.linear(inputs.to(torch.float32)) + torch.arange(3, device=inputs.device)


def test_moved_to_another_device(tmp_path):
    loaded = load_network(export(DeviceDependent().eval(), (torch.zeros(2, 4),), tmp_path / "teacher.pt2"))
    rows = torch.randn(5, 4)
    expected = loaded(rows)
    copied = copy.deepcopy(loaded)
    assert loaded.to("meta")(rows.to("meta")).device.type == "meta"
    recorded = {
        value
        for module in loaded.modules()
        if isinstance(module, torch.fx.GraphModule)
        for node in module.graph.nodes
        for value in (*node.args, *node.kwargs.values())
        if isinstance(value, torch.device)
    }
    assert recorded == {torch.device("meta")}
    torch.testing.assert_close(copied(rows), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype, tmp_path):
    inputs = (torch.zeros(2, 1, 4, 4, dtype=dtype),)
    loaded = load_network(export(network().to(dtype), inputs, tmp_path / "teacher.pt2"))
    images = torch.randn(5, 1, 4, 4)
    logits = loaded(images)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, network().to(dtype).float()(images))


def test_another_size_is_refused_or_resized(path):
    with pytest.raises(ConfigurationError, match=r"got images of 6 x 6 pixels, expected 4 x 4; set image_size: 4"):
        load_network(path)(torch.zeros(2, 1, 6, 6))
    assert load_network(path, image_size=4)(torch.zeros(2, 1, 6, 6)).shape == (2, 3)
    with pytest.raises(ConfigurationError, match="got image_size 6, expected 4, the only size"):
        load_network(path, image_size=6)


def test_images_that_are_not_square(tmp_path):
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 2 * 6, 3)).eval()
    loaded = load_network(export(module, (torch.zeros(2, 1, 4, 8),), tmp_path / "wide.pt2"))
    images = torch.randn(5, 1, 4, 8)
    torch.testing.assert_close(loaded(images), module(images))
    with pytest.raises(ConfigurationError, match=r"teacher \(PretrainedClassifier\): does not accept samples of shape"):
        check_classifier("teacher", loaded, DataSpec((1, 4, 4), 3))


def test_fixed_batch_size(tmp_path):
    file = export(network(), (torch.zeros(1, 1, 4, 4),), tmp_path / "one.pt2", dynamic=False)
    with pytest.raises(ConfigurationError, match="fixed batch size 1, expected any; export it with dynamic_shapes"):
        load_network(file)


def test_several_inputs(tmp_path):
    file = export(nn.Bilinear(2, 2, 3), (torch.zeros(2, 2), torch.zeros(2, 2)), tmp_path / "two.pt2")
    with pytest.raises(ConfigurationError, match="got a network of 2 inputs, expected one batch of samples"):
        load_network(file)


def test_other_arguments_are_refused(path):
    with pytest.raises(ConfigurationError, match="got a network for an exported network"):
        load_network(path, network=network())
    with pytest.raises(ConfigurationError, match="got 2 class_names, expected 3"):
        load_network(path, class_names=["a", "b"])


def test_damaged(path, tmp_path):
    damaged = tmp_path / "damaged.pt2"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(damaged, "w") as target:
        for item in source.infolist():
            target.writestr(item, source.read(item)[: 5 if item.filename.endswith("model.json") else None])
    with pytest.raises(ConfigurationError, match="cannot be read as a network of torch"):
        load_network(str(damaged))


class Touch:
    """Create a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_pickled_code_does_not_run(path, tmp_path):
    """``torch.export.load`` falls back to pickle, and has no argument to prevent it."""
    mark, evil = tmp_path / "mark", tmp_path / "evil.pt2"
    content = io.BytesIO()
    torch.save((Touch(mark),), content)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(evil, "w") as target:
        for item in source.infolist():
            sample = "sample_inputs" in item.filename
            target.writestr(item, content.getvalue() if sample else source.read(item))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_exported(str(evil))
    assert not mark.exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
