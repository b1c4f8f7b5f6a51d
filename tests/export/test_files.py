from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from ganmc_lightning.batch import DataSpec, Statistics, to_uint8_images
from ganmc_lightning.exceptions import ConfigurationError, ExportError
from ganmc_lightning.export import export_network, files
from ganmc_lightning.export.onnx_file import decode_onnx
from ganmc_lightning.io.export_formats import EXPORT_PACKAGES
from ganmc_lightning.networks import (
    ACGANGenerator,
    DCGANGenerator,
    LeNet,
    PretrainedClassifier,
    TabularGenerator,
    load_generator,
    load_network,
)
from ganmc_lightning.networks.recipe_metadata import decode_recipe
from ganmc_lightning.networks.recipes import instantiate_network
from ganmc_lightning.networks.training_data import get_training_data
from ganmc_lightning.networks.validation import check_logits

SPEC = DataSpec((3, 8, 8), 4, ("ant", "bee", "cat", "dog"))


class BatchNormNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, inputs):
        return self.head(self.norm(self.conv(inputs)).relu().mean((2, 3)))


@pytest.fixture
def network():
    """Return a network with statistics of its own, which depend on the mode."""
    network = BatchNormNet()
    network.norm.running_mean.normal_()
    network.norm.running_var.uniform_(0.5, 2)
    return network


@pytest.fixture
def images():
    return torch.rand(96, 3, 8, 8) * 2 - 1


def run_onnx(path, *inputs):
    return decode_onnx(path.read_bytes())(*inputs)


def test_all_float_formats_of_a_batch_norm_network(network, tmp_path):
    pytest.importorskip("onnxruntime")
    results = export_network(network, tmp_path, ["onnx", "pt2", "safetensors"], spec=SPEC)
    assert [result.path.name for result in results] == ["model.onnx", "model.pt2", "model.safetensors"]
    assert network.training  # the network itself is not changed
    for result in results:
        assert result.max_difference <= 1e-5
        assert result.bytes == result.path.stat().st_size
        assert set(result.latency) == {1, 64}
        assert min(result.latency.values()) > 0
    inputs = torch.rand(5, 3, 8, 8)  # a size that was not traced
    expected = network.eval()(inputs)
    program = torch.export.load(tmp_path / "model.pt2").module()
    for actual in (run_onnx(tmp_path / "model.onnx", inputs), program(inputs)):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_metadata_read_back(network, tmp_path):
    onnx = pytest.importorskip("onnx")
    statistics = Statistics(torch.tensor([0.1, 0.2, 1 / 3]).double(), torch.ones(3).double())
    spec = SPEC._replace(statistics=statistics)
    recipe = {"class_path": "my_models.Net", "init_args": {"width": 8}}
    export_network(network, tmp_path, ["onnx", "pt2", "safetensors"], spec=spec, recipe=recipe)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model)
    extra = {"metadata.json": ""}
    torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        stored = file.metadata()
    for metadata in (
        {each.key: each.value for each in model.metadata_props},
        json.loads(extra["metadata.json"]),
        stored,
    ):
        assert json.loads(metadata["class_names"]) == ["ant", "bee", "cat", "dog"]
        assert metadata["inputs"] == "images: float32 (N, 3, 8, 8) in [-1, 1]"
        assert metadata["outputs"] == "logits: float32 (N, 4)"
        assert not {"mean", "std", "latent_std"} & metadata.keys()  # images in [-1, 1] are not standardized
        assert metadata["torch"] == torch.__version__
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    sizes = [each.type.tensor_type.shape.dim[0].dim_param for each in (*model.graph.input, *model.graph.output)]
    assert sizes == ["batch", "batch"]
    found, trained_on = decode_recipe(stored, "model.safetensors")
    assert found == recipe
    assert trained_on.class_names == spec.class_names
    assert torch.equal(trained_on.statistics.mean, statistics.mean)


ROW_STATISTICS = Statistics(torch.tensor([0.1, 1 / 3]).double(), torch.tensor([2.0, 1.0]).double())


def read_pt2(path):
    extra = {"metadata.json": ""}
    torch.export.load(path, extra_files=extra)
    return json.loads(extra["metadata.json"])


@pytest.mark.parametrize("quantiles", [(), tuple(torch.arange(12.0).view(2, 2, 3).double())])
def test_metadata_of_rows_contain_their_scaling(quantiles, tmp_path):
    spec = DataSpec((2,), 3, statistics=replace(ROW_STATISTICS, quantiles=quantiles))
    export_network(nn.Linear(2, 3), tmp_path, ["pt2"], spec=spec)
    metadata = read_pt2(tmp_path / "model.pt2")
    assert metadata["inputs"] == "rows: float32 (N, 2), z-scores"
    assert json.loads(metadata["mean"]) == ROW_STATISTICS.mean.tolist()
    assert json.loads(metadata["std"]) == [2.0, 1.0]
    assert json.loads(metadata.get("quantiles", "[]")) == [column.tolist() for column in quantiles]
    assert "latent_std" not in metadata
    assert load_network(str(tmp_path / "model.pt2"))(torch.zeros(2, 2)).shape == (2, 3)


@pytest.mark.parametrize("latent_std", [1.0, 0.25])
def test_metadata_of_a_generator_contain_the_distribution_of_its_latents(latent_std, tmp_path):
    generator = TabularGenerator(2, latent_dim=5, latent_std=latent_std)
    export_network(generator, tmp_path, ["pt2"], spec=DataSpec((2,), 0, statistics=ROW_STATISTICS))
    metadata = read_pt2(tmp_path / "model.pt2")
    latents = f"latents: float32 (N, 5), normal, mean 0, standard deviation {latent_std:g}"
    assert metadata["inputs"] == f"{latents}; labels: int64 (N) in [0, 1]"
    assert float(metadata["latent_std"]) == latent_std
    assert metadata["outputs"] == "rows: float32 (N, 2), z-scores"
    assert json.loads(metadata["std"]) == [2.0, 1.0]


def test_uint8_images_in_and_probabilities_out(network, images, tmp_path):
    pytest.importorskip("onnxruntime")
    export_network(network, tmp_path, ["onnx", "pt2"], spec=SPEC, uint8_inputs=True, probabilities=True)
    pixels = to_uint8_images(images[:6])
    expected = network.eval()(pixels / 127.5 - 1).softmax(1)
    program = torch.export.load(tmp_path / "model.pt2").module()
    for actual in (run_onnx(tmp_path / "model.onnx", pixels), program(pixels)):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(actual.sum(1), torch.ones(6))


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_network_that_ends_with_a_softmax_is_refused(network, probabilities, tmp_path):
    """Else the softmax would be applied twice, or its probabilities would be named logits."""
    with_softmax = nn.Sequential(network, nn.Softmax(1))
    with pytest.raises(ConfigurationError, match=r"Sequential: returned probabilities .*, expected logits"):
        export_network(with_softmax, tmp_path, ["pt2"], spec=SPEC, probabilities=probabilities)
    wrapped = PretrainedClassifier(with_softmax, outputs="probabilities")
    export_network(wrapped, tmp_path, ["pt2"], spec=SPEC, probabilities=probabilities)
    inputs = torch.rand(3, 3, 8, 8)
    expected = network.eval()(inputs).log_softmax(1)
    actual = torch.export.load(tmp_path / "model.pt2").module()(inputs)
    torch.testing.assert_close(actual, expected.exp() if probabilities else expected, rtol=1e-4, atol=1e-5)


def test_pt2_with_probabilities_is_loaded_as_logits(network, tmp_path):
    export_network(network, tmp_path, ["pt2"], spec=SPEC, probabilities=True)
    loaded = load_network(str(tmp_path / "model.pt2"))
    inputs = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(loaded(inputs), network.eval()(inputs).log_softmax(1), rtol=1e-4, atol=1e-5)
    check_logits("teacher", loaded, loaded(inputs[:2]), SPEC)


def test_pt2_is_a_teacher(network, tmp_path):
    export_network(network, tmp_path, ["pt2"], spec=SPEC)
    teacher = load_network(str(tmp_path / "model.pt2"))
    assert get_training_data(teacher).class_names == SPEC.class_names
    inputs = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(teacher(inputs), network.eval()(inputs))
    torch.export.save(
        torch.export.load(tmp_path / "model.pt2"), tmp_path / "bad.pt2", extra_files={"metadata.json": "{}"}
    )
    with pytest.raises(ConfigurationError, match=r"bad\.pt2: its metadata are damaged \(KeyError: 'class_names'\)"):
        load_network(str(tmp_path / "bad.pt2"))
    export_network(network, tmp_path, ["pt2"], spec=SPEC, uint8_inputs=True)
    with pytest.raises(ConfigurationError, match=r"got a network of uint8 inputs, expected float .* without --uint8"):
        load_network(str(tmp_path / "model.pt2"))


def test_damaged_metadata_of_safetensors(tmp_path):
    for key, value, message in (
        ("recipe", "{", "its metadata are damaged"),
        ("recipe", "[]", "got a recipe of type list, expected a mapping"),
        ("trained_on", "{}", "its metadata are damaged"),
    ):
        save_file({"weight": torch.ones(1)}, tmp_path / "bad.safetensors", {key: value})
        with pytest.raises(ConfigurationError, match=rf"bad\.safetensors: {message}"):
            load_network(str(tmp_path / "bad.safetensors"))


def test_safetensors_rebuild_the_network(tmp_path):
    arguments = {"in_channels": 1, "image_size": 16, "num_classes": 3, "widths": [4, 8, 16]}
    network = LeNet(**arguments)
    recipe = {"class_path": "ganmc_lightning.networks.LeNet", "init_args": arguments}
    (file,) = export_network(network, tmp_path, ["safetensors"], spec=DataSpec((1, 16, 16), 3), recipe=recipe)
    with safe_open(file.path, "pt") as opened:
        found, _ = decode_recipe(opened.metadata(), str(file.path))
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    rebuilt = instantiate_network(found, str(file.path))
    rebuilt.load_state_dict(weights)
    inputs = torch.rand(3, 1, 16, 16)
    assert torch.equal(rebuilt.eval()(inputs), network.eval()(inputs))


def test_generator_of_safetensors_in_half_precision(tmp_path):
    arguments = {"image_size": 8, "channels": 1, "num_classes": 3, "latent_dim": 4, "width": 2}
    generator = ACGANGenerator(**arguments)
    recipe = {"class_path": "ganmc_lightning.networks.ACGANGenerator", "init_args": arguments}
    (file,) = export_network(generator, tmp_path, ["safetensors"], spec=DataSpec((1, 8, 8), 3), recipe=recipe)
    with safe_open(file.path, "pt") as opened:
        metadata = opened.metadata()
    halved = {key: value.half() if value.dim() > 1 else value for key, value in generator.state_dict().items()}
    save_file(halved, file.path, metadata)
    loaded = load_generator(str(file.path))
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    latents, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    torch.testing.assert_close(loaded(latents, labels), generator.eval()(latents, labels), atol=2e-3, rtol=0)


def test_safetensors_of_a_classifier_have_no_generator_and_no_submodules(tmp_path):
    arguments = {"in_channels": 1, "image_size": 16, "num_classes": 3, "widths": [4, 8, 16]}
    recipe = {"class_path": "ganmc_lightning.networks.LeNet", "init_args": arguments}
    (file,) = export_network(
        LeNet(**arguments), tmp_path, ["safetensors"], spec=DataSpec((1, 16, 16), 3), recipe=recipe
    )
    with pytest.raises(ConfigurationError, match="the network is a LeNet, expected a generator"):
        load_generator(str(file.path))
    for load in (load_network, load_generator):
        with pytest.raises(ConfigurationError, match=r"got the submodule 'student', expected none: the file has one"):
            load(str(file.path), "student")


@pytest.mark.parametrize("uint8", [False, True])
def test_conditional_generator(uint8, tmp_path):
    pytest.importorskip("onnxruntime")
    generator = ACGANGenerator(image_size=8, channels=1, num_classes=3, latent_dim=4, width=2)
    results = export_network(generator, tmp_path, ["onnx", "pt2"], spec=DataSpec((1, 8, 8), 3), uint8_outputs=uint8)
    assert all(result.max_difference <= (1 if uint8 else 1e-5) for result in results)
    latents, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    expected = generator.eval()(latents, labels)
    actual = run_onnx(tmp_path / "model.onnx", latents, labels)
    if uint8:
        assert actual.dtype == torch.uint8
        assert (actual.int() - to_uint8_images(expected).int()).abs().max() <= 1
    else:
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_unconditional_generator(tmp_path):
    generator = DCGANGenerator(image_size=16, channels=1, width=2, latent_dim=5)
    export_network(generator, tmp_path, ["pt2"], spec=DataSpec((1, 16, 16), 0))
    program = torch.export.load(tmp_path / "model.pt2").module()
    latents = torch.randn(9, 5)
    torch.testing.assert_close(program(latents), generator.eval()(latents))


def test_timm_network(tmp_path):
    timm = pytest.importorskip("timm")
    pytest.importorskip("onnxruntime")
    network = timm.create_model("test_resnet", num_classes=4)
    (file,) = export_network(network, tmp_path, ["onnx"], spec=DataSpec((3, 32, 32), 4))
    assert file.max_difference <= 1e-4


def test_int8_probabilities_sum_to_one(network, images, tmp_path):
    pytest.importorskip("onnxruntime")
    (result,) = export_network(network, tmp_path, ["int8"], spec=SPEC, calibration=images, probabilities=True)
    assert (run_onnx(result.path, images).sum(dim=1) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("uint8", [False, True])
def test_int8_is_smaller_and_agrees(uint8, images, tmp_path):
    pytest.importorskip("onnxruntime")
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten())
    network.append(nn.Linear(64 * 16, 4))
    plain, int8 = export_network(
        network, tmp_path, ["onnx", "int8"], spec=SPEC, calibration=images, uint8_inputs=uint8, stem="small"
    )
    assert int8.path.name == "small.int8.onnx"
    assert int8.bytes < 0.4 * plain.bytes
    inputs = to_uint8_images(images) if uint8 else images
    expected, actual = network(images), run_onnx(int8.path, inputs)
    agreement = (actual.argmax(1) == expected.argmax(1)).float().mean().item()
    assert int8.agreement == pytest.approx(agreement, abs=0.03)  # pixels are rounded if the inputs are uint8
    assert int8.agreement >= 0.9
    assert 0 < int8.max_difference < 0.2 * (expected.max() - expected.min())


def test_a_file_beyond_the_tolerance_is_not_written(network, tmp_path, monkeypatch):
    wrong = files.FILE_FORMATS["pt2"]._replace(decode=lambda content, deployment: lambda x: deployment.module(x) + 0.01)
    monkeypatch.setitem(files.FILE_FORMATS, "pt2", wrong)
    with pytest.raises(ExportError, match=r"model\.pt2: its outputs differ .* by 0\.01 for a batch of 1"):
        export_network(network, tmp_path, ["pt2"], spec=SPEC)
    assert list(tmp_path.iterdir()) == []
    export_network(network, tmp_path, ["pt2"], spec=SPEC, tolerance=0.02)


def test_nan_is_beyond_the_tolerance(network, tmp_path):
    network.head.bias.data[0] = float("nan")
    with pytest.raises(ExportError, match="differ from PyTorch's by nan"):
        export_network(network, tmp_path, ["safetensors"], spec=SPEC)


def test_int8_that_changes_the_classes_is_not_written(network, images, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    wrong = files.FILE_FORMATS["int8"]._replace(decode=lambda content, deployment: lambda x: -deployment.module(x))
    monkeypatch.setitem(files.FILE_FORMATS, "int8", wrong)
    with pytest.raises(ExportError, match=r"int8 changes the class of 100\.0% of the calibration samples"):
        export_network(network, tmp_path, ["int8"], spec=SPEC, calibration=images)
    assert list(tmp_path.iterdir()) == []


class FixedBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, inputs):
        return self.head(inputs.mean((2, 3)).reshape(2, 3))


@pytest.mark.parametrize(
    ("make", "formats", "options", "message"),
    [
        (BatchNormNet, ["onx"], {}, "formats: got 'onx', expected .* did you mean 'onnx'"),
        (BatchNormNet, [], {}, "formats: got no format"),
        (nn.Flatten, ["pt2"], {}, r"Flatten: returned \(2, 192\) for 2 samples, expected logits \(2, 4\)"),
        (lambda: nn.Linear(7, 4), ["pt2"], {}, r"Linear: cannot be used on samples of shape \(3, 8, 8\)"),
        (FixedBatch, ["pt2"], {}, "FixedBatch: cannot be exported with a dynamic batch size"),
        (BatchNormNet, ["pt2"], {"uint8_outputs": True}, "uint8_outputs: got a classifier"),
        (BatchNormNet, ["int8"], {}, "calibration: got no samples"),
        (
            BatchNormNet,
            ["int8"],
            {"calibration": torch.zeros(2, 1, 8, 8)},
            r"calibration: got samples of shape \(1, 8, 8\)",
        ),
        (lambda: TabularGenerator(3), ["pt2"], {"probabilities": True}, "probabilities: got a generator"),
        (lambda: TabularGenerator(3), ["pt2"], {"uint8_inputs": True}, "uint8_inputs: got a generator"),
        (lambda: TabularGenerator(3), ["pt2"], {"uint8_outputs": True}, r"uint8_outputs: got samples of shape \(3,\)"),
        (lambda: TabularGenerator(3), ["int8"], {}, "calibration: got no samples, expected .* of a classifier"),
    ],
)
def test_refusals(make, formats, options, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        export_network(make(), tmp_path, formats, spec=SPEC, **options)
    assert list(tmp_path.iterdir()) == []


def test_uint8_rows_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"uint8_inputs: got samples of shape \(5,\), expected images"):
        export_network(nn.Linear(5, 2), tmp_path, ["pt2"], spec=DataSpec((5,), 2), uint8_inputs=True)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_package(package, network, tmp_path, monkeypatch):
    monkeypatch.setattr("ganmc_lightning.io.dependencies.find_spec", lambda name: None if name == package else name)
    with pytest.raises(
        ConfigurationError, match=rf'exports require {package}: pip install "ganmc-lightning\[export\]"'
    ):
        export_network(network, tmp_path, ["pt2", "onnx"], spec=SPEC)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_named(network, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"out/model\.safetensors: cannot be written"):
        export_network(network, tmp_path / "out", ["safetensors"], spec=SPEC)


def test_every_named_format_exists():
    assert set(files.FILE_FORMATS) == set(EXPORT_PACKAGES)


def test_pt2_contains_no_pickled_code(network, tmp_path, monkeypatch):
    export_network(network, tmp_path, ["pt2"], spec=SPEC)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    program = torch.export.load(io.BytesIO((tmp_path / "model.pt2").read_bytes()))
    assert program.module()(torch.zeros(3, 3, 8, 8)).shape == (3, 4)
