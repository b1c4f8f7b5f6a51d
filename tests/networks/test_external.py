"""Teachers of other libraries and programs through the one loader: references, files, classes, sizes."""

from __future__ import annotations

import copy
import json
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.network_reference import parse_reference
from ganmc_lightning.networks import Frozen, MLPClassifier, PretrainedClassifier, allowed, build_network, load_network
from ganmc_lightning.networks.intermediate import dry_run_layers
from ganmc_lightning.networks.libraries import library_preprocessing
from ganmc_lightning.networks.resolving import resolve_recipe
from ganmc_lightning.networks.training_data import get_training_data

LOADER = "ganmc_lightning.networks.load_network"
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def error(*arguments, **named):
    with pytest.raises(ConfigurationError) as caught:
        load_network(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def images(size=32, channels=3):
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def perturbed(network):
    """Return a network whose weights differ from those of any new one, in evaluation mode."""
    torch.manual_seed(5)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.eval()


class TestFiles:
    @pytest.fixture
    def network(self):
        return perturbed(MLPClassifier(12, 3, (5,)))

    @pytest.fixture
    def path(self, tmp_path, network):
        torch.save({"epoch": 1, "model_state_dict": network.state_dict()}, tmp_path / "teacher.pt")
        return str(tmp_path / "teacher.pt")

    def test_with_its_network(self, path, network):
        loaded = load_network(path, network=MLPClassifier(12, 3, (5,)))
        assert torch.equal(loaded(images(2)), network(images(2)))
        assert not loaded.training
        assert get_training_data(loaded) is None

    def test_described(self, path, network):
        loaded = load_network(
            path,
            network=MLPClassifier(12, 3, (5,)),
            mean=IMAGENET[0],
            std=IMAGENET[1],
            image_size=2,
            class_names=["a", "b", "c"],
        )
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
        torch.testing.assert_close(loaded(images(2)), network(((images(2) + 1) / 2 - mean) / std))
        assert loaded(images(9)).shape == (2, 3)
        spec = get_training_data(loaded)
        assert (spec.sample_shape, spec.num_classes, spec.class_names) == ((3, 2, 2), 3, ("a", "b", "c"))

    def test_safetensors(self, tmp_path, network):
        save_file(network.state_dict(), tmp_path / "a.safetensors")
        loaded = load_network(str(tmp_path / "a.safetensors"), network=MLPClassifier(12, 3, (5,)))
        assert torch.equal(loaded(images(2)), network(images(2)))

    def test_pickled_module(self, tmp_path, network):
        torch.save(network, tmp_path / "whole.pt")
        path = str(tmp_path / "whole.pt")
        assert "which runs code when it is loaded" in error(path)
        assert torch.equal(load_network(path, trust=True)(images(2)), network(images(2)))
        assert torch.equal(
            load_network(path, network=MLPClassifier(12, 3, (5,)), trust=True)(images(2)), network(images(2))
        )

    def test_pickled_module_in_half_precision(self, tmp_path, network):
        torch.save(copy.deepcopy(network).half(), tmp_path / "half.pt")
        loaded = load_network(str(tmp_path / "half.pt"), trust=True)
        torch.testing.assert_close(loaded(images(2)), network(images(2)), rtol=1e-2, atol=1e-2)

    def test_weights_without_a_network(self, path):
        message = error(path)
        assert message.startswith(f"{path}: contains 4 weights (features.")
        assert f"use a reference such as 'timm:resnet18:{path}'" in message

    def test_refused(self, path, tmp_path):
        assert error(str(tmp_path / "no.pt")) == f"{tmp_path / 'no.pt'}: checkpoint not found"
        network = MLPClassifier(12, 4, (5,))
        assert "has weights of 3 classes, expected 4 as in MLPClassifier; set num_classes: 3" in error(
            path, network=network
        )
        assert "do not match Linear" in error(path, network=nn.Linear(1, 1))
        assert "expected none without a reference" in error(path, arguments={"width": 3})


class TestOwnCheckpoints:
    @pytest.fixture
    def path(self, tmp_path):
        recipe = {
            "class_path": "ganmc_lightning.networks.MLPClassifier",
            "init_args": {"in_features": 12, "num_classes": 3},
        }
        network = perturbed(MLPClassifier(12, 3))
        state = {f"student.{name}": value for name, value in network.state_dict().items()}
        spec = DataSpec((3, 2, 2), 3, ("a", "b", "c"))
        torch.save(
            {
                "state_dict": {**state, "discriminator.weight": torch.ones(1)},
                "hyper_parameters": {"student": recipe, "_class_path": "a.Module"},
                "trained_on": spec.state_dict(),
            },
            tmp_path / "best.ckpt",
        )
        return str(tmp_path / "best.ckpt")

    def test_the_path_is_enough(self, path):
        loaded = load_network(path)
        assert type(loaded) is MLPClassifier
        assert get_training_data(loaded).class_names == ("a", "b", "c")
        assert torch.equal(load_network(path, num_classes=3)(images(2)), loaded(images(2)))

    def test_resized(self, path):
        loaded = load_network(path, image_size=2)
        assert isinstance(loaded, PretrainedClassifier)
        assert torch.equal(loaded(images(2)), load_network(path)(images(2)))
        assert get_training_data(loaded).class_names == ("a", "b", "c")
        arguments = {"path": path, "image_size": 2}
        recipe = resolve_recipe({"class_path": LOADER, "init_args": arguments})
        assert recipe["init_args"]["network"]["class_path"] == "ganmc_lightning.networks.MLPClassifier"

    def test_refused(self, path):
        assert "got class_names a, c, b, expected a, b, c as in its training data" in error(
            path, class_names=["a", "c", "b"]
        )
        assert "got num_classes 4, expected 3 as in its training data" in error(path, num_classes=4)
        assert "the checkpoint contains them" in error(path, arguments={"width": 1})


class TestTimm:
    @pytest.fixture(autouse=True)
    def _timm(self):
        pytest.importorskip("timm")

    @pytest.fixture
    def network(self):
        return perturbed(build_network("timm:test_resnet", num_classes=4))

    @pytest.fixture
    def path(self, tmp_path, network):
        torch.save(network.state_dict(), tmp_path / "w.pt")
        return f"timm:test_resnet:{tmp_path / 'w.pt'}"

    def test_with_the_statistics_of_timm(self, path, network):
        import timm

        loaded = load_network(path, num_classes=4)
        config = timm.get_pretrained_cfg("test_resnet")
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (config.mean, config.std))
        torch.testing.assert_close(loaded(images()), network(((images() + 1) / 2 - mean) / std))
        spec = get_training_data(loaded)
        assert (spec.num_classes, spec.class_names, spec.sample_shape) == (4, (), (3, *config.input_size[1:]))

    def test_with_given_statistics(self, path, network):
        loaded = load_network(path, num_classes=4, mean=[0.5] * 3, std=[0.5] * 3)
        torch.testing.assert_close(loaded(images()), network(images()), rtol=1e-4, atol=1e-5)

    def test_refused(self, path):
        assert "has weights of 4 classes, expected 1000 as in ResNet; set num_classes: 4" in error(path)
        assert "has weights of 4 classes, expected 5" in error(path, num_classes=5)
        assert "got 3 class_names, expected 4" in error(path, num_classes=4, class_names=["a", "b", "c"])
        assert "got num_classes 10, expected 1000 as in its pretrained weights" in error(
            "timm:test_resnet", num_classes=10
        )
        assert "checkpoint not found" in error("timm:test_resnet:no.pt", num_classes=4)
        assert "got num_classes in arguments" in error(path, arguments={"num_classes": 4})
        assert "expected only the reference" in error(path, network=nn.Linear(1, 1))
        assert "expected only the reference" in error(path, "network")

    def test_without_a_network_connection(self, monkeypatch):
        import timm

        def offline(*_arguments, **_named):
            raise OSError("no route to host\nsecond line")

        monkeypatch.setattr(timm, "create_model", offline)
        assert error("timm:test_resnet") == (
            "timm:test_resnet: its pretrained weights cannot be loaded (no route to host second line); download them "
            "and pass timm:test_resnet:WEIGHTS_FILE"
        )

    def test_fixed_input_size(self, tmp_path):
        """Vision transformers accept one size: other data are refused, with the argument that resizes them."""
        torch.save(build_network("timm:test_vit", num_classes=3).state_dict(), tmp_path / "vit.pt")
        path, spec = f"timm:test_vit:{tmp_path / 'vit.pt'}", DataSpec((3, 32, 32), 3)
        teacher = load_network(path, num_classes=3)
        with pytest.raises(
            ConfigurationError, match=r"got images of 32 x 32 .* expected 160 x 160; set image_size: 160"
        ):
            dry_run_layers("model.teacher", Frozen(teacher), (), spec)
        teacher = load_network(path, num_classes=3, image_size=160)
        dry_run_layers("model.teacher", Frozen(teacher), (), spec)
        assert "expected 160, the only size" in error(path, num_classes=3, image_size=64)
        small = build_network("timm:test_vit", num_classes=3, arguments={"img_size": 32})
        torch.save(small.state_dict(), tmp_path / "vit.pt")
        teacher = load_network(path, num_classes=3, arguments={"img_size": 32})
        assert teacher(images(32)).shape == (2, 3)

    def test_class_names_are_compared_with_the_data(self, path):
        teacher = Frozen(load_network(path, num_classes=4, class_names=["a", "b", "c", "d"]))
        teacher.adapt_to("model.teacher", DataSpec((3, 32, 32), 4, ("a", "b", "c", "d")))
        teacher.adapt_to("model.teacher", DataSpec((3, 32, 32), 4))
        for names in (("a", "b", "d", "c"), ("w", "x", "y", "z")):
            with pytest.raises(ConfigurationError, match=r"model.teacher: class . of its training data is"):
                teacher.adapt_to("model.teacher", DataSpec((3, 32, 32), 4, names))

    def test_as_student_it_is_rebuilt_without_its_file(self, path, tmp_path):
        network = load_network(path, num_classes=4)
        recipe = resolve_recipe({"class_path": LOADER, "init_args": {"path": path, "num_classes": 4}})
        (tmp_path / "w.pt").unlink()
        state = {f"student.{name}": value for name, value in network.state_dict().items()}
        hyper_parameters = {"student": recipe, "_class_path": "a.Module"}
        torch.save({"state_dict": state, "hyper_parameters": hyper_parameters}, tmp_path / "student.ckpt")
        rebuilt = load_network(str(tmp_path / "student.ckpt"))
        assert torch.equal(rebuilt(images()), network(images()))

    def test_recipes_follow_no_reference(self, path, tmp_path):
        for arguments in ({"path": path}, {"path": str(tmp_path / "w.pt"), "trust": True}):
            hyper_parameters = {"student": {"class_path": LOADER, "init_args": arguments}, "_class_path": "a.Module"}
            state = {"student.weight": torch.ones(1)}
            torch.save({"state_dict": state, "hyper_parameters": hyper_parameters}, tmp_path / "student.ckpt")
            assert "which may read other files" in error(str(tmp_path / "student.ckpt"))

    def test_the_random_state_is_unchanged(self, path):
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        load_network(path, num_classes=4)
        assert torch.equal(torch.rand(1), expected)


def test_torchvision(tmp_path):
    network = perturbed(build_network("torchvision:squeezenet1_1", num_classes=4))
    torch.save({f"module.{name}": value for name, value in network.state_dict().items()}, tmp_path / "w.pt")
    loaded = load_network(f"torchvision:squeezenet1_1:{tmp_path / 'w.pt'}", num_classes=4)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    torch.testing.assert_close(loaded(images()), network(((images() + 1) / 2 - mean) / std))
    assert get_training_data(loaded).sample_shape == (3, 224, 224)


def test_a_torchvision_network_that_converts_its_inputs(tmp_path):
    """As with pretrained weights, from which a file usually is."""
    path, arguments = tmp_path / "w.pt", {"init_weights": False, "aux_logits": False}
    network = build_network("torchvision:googlenet", num_classes=2, arguments={**arguments, "transform_input": True})
    torch.save(network.state_dict(), path)
    values = {"path": f"torchvision:googlenet:{path}", "num_classes": 2, "arguments": arguments}
    recipe = resolve_recipe({"class_path": LOADER, "init_args": values})
    assert recipe["init_args"]["network"]["init_args"]["arguments"]["transform_input"]
    loaded = load_network(values.pop("path"), **values)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    torch.testing.assert_close(loaded(images()), network.eval()(((images() + 1) / 2 - mean) / std))
    arguments["transform_input"] = False
    assert not load_network(f"torchvision:googlenet:{path}", num_classes=2, arguments=arguments).network.transform_input


def test_a_torchvision_transformer_of_another_size():
    reference = parse_reference("torchvision:vit_b_32")
    known = library_preprocessing(reference, {"image_size": 64})
    assert (known.input_shape, known.fixed_size) == ((3, 64, 64), True)
    assert library_preprocessing(reference, {}).input_shape == (3, 224, 224)


class TestHuggingFace:
    @pytest.fixture
    def network(self, tmp_path):
        transformers = pytest.importorskip("transformers")
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]}
        config = transformers.ResNetConfig(**sizes, id2label={0: "ant", 1: "bee", 2: "cat"})
        network = perturbed(transformers.ResNetForImageClassification(config))
        network.save_pretrained(tmp_path / "hub")
        return network

    @pytest.fixture
    def preprocessor(self, network, tmp_path):
        def write(**values):
            (tmp_path / "hub" / "preprocessor_config.json").write_text(json.dumps(values))

        return write

    def test_local_folder(self, network, preprocessor, tmp_path):
        preprocessor(image_mean=IMAGENET[0], image_std=IMAGENET[1], size=64)
        loaded = load_network(f"hf:{tmp_path / 'hub'}")
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
        torch.testing.assert_close(loaded(images()), network(((images() + 1) / 2 - mean) / std).logits)
        assert get_training_data(loaded).class_names == ("ant", "bee", "cat")
        unnamed = load_network(f"hf:{tmp_path / 'hub'}", class_names=[])
        assert get_training_data(unnamed).class_names == ()

    def test_bfloat16_becomes_float32(self, network, tmp_path):
        network.bfloat16().save_pretrained(tmp_path / "hub")
        loaded = load_network(f"hf:{tmp_path / 'hub'}")
        torch.testing.assert_close(loaded(images()), network.float()(images()).logits)
        assert build_network(f"hf:{tmp_path / 'hub'}")(images()).dtype == torch.float32

    def test_a_model_without_a_head_is_refused(self, network, tmp_path):
        """Transformers would initialize the head randomly."""
        network.resnet.save_pretrained(tmp_path / "hub")
        message = error(f"hf:{tmp_path / 'hub'}")
        assert "got no weights of classifier.1.bias, classifier.1.weight, expected the weights of a trained" in message

    def test_with_a_file_of_weights(self, network, tmp_path):
        torch.save(network.state_dict(), tmp_path / "w.bin")
        loaded = load_network(f"hf:{tmp_path / 'hub'}:{tmp_path / 'w.bin'}")
        torch.testing.assert_close(loaded(images()), network(images()).logits)  # no preprocessor: [-1, 1]

    @pytest.mark.parametrize(
        ("values", "convert"),
        [
            ({"do_normalize": False}, lambda inputs: (inputs + 1) / 2),
            ({"rescale_factor": 1 / 255, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, lambda inputs: inputs),
        ],
    )
    def test_preprocessors(self, network, preprocessor, tmp_path, values, convert):
        preprocessor(**values)
        loaded = load_network(f"hf:{tmp_path / 'hub'}")
        torch.testing.assert_close(loaded(images()), network(convert(images())).logits, rtol=1e-4, atol=1e-5)

    @pytest.mark.usefixtures("network")
    @pytest.mark.parametrize(
        ("values", "shape"),
        [
            ({"size": 64}, (3, 64, 64)),
            ({"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}, (3, 64, 64)),
            ({"size": {"height": 72, "width": 72}, "crop_size": 64, "do_center_crop": False}, (3, 72, 72)),
            ({"size": {"height": 72, "width": 64}}, ()),
            ({}, ()),
        ],
    )
    def test_documented_sizes(self, preprocessor, tmp_path, values, shape):
        preprocessor(**values)
        assert library_preprocessing(parse_reference(f"hf:{tmp_path / 'hub'}"), {}).input_shape == shape

    @pytest.mark.usefixtures("network")
    @pytest.mark.parametrize(
        "text",
        [
            "{",
            "[]",
            '{"rescale_factor": null}',
            '{"image_mean": null, "image_std": null}',
            '{"image_mean": 0.5, "image_std": 0.5}',
            '{"image_mean": ["a"], "image_std": [1]}',
        ],
    )
    def test_a_damaged_preprocessor(self, tmp_path, text):
        (tmp_path / "hub" / "preprocessor_config.json").write_text(text)
        message = error(f"hf:{tmp_path / 'hub'}")
        assert message.startswith(f"hf:{tmp_path / 'hub'}: its preprocessor_config.json cannot be read (")

    @pytest.mark.usefixtures("network")
    def test_refused(self, preprocessor, tmp_path):
        preprocessor(do_rescale=False)
        assert "does not rescale images to [0, 1]; pass mean and std" in error(f"hf:{tmp_path / 'hub'}")
        preprocessor(do_normalize=False)
        assert "got num_classes 5, expected 3 as in its pretrained weights" in error(
            f"hf:{tmp_path / 'hub'}", num_classes=5
        )
        (tmp_path / "hub" / "model.safetensors").unlink()
        assert "its pretrained weights cannot be loaded (" in error(f"hf:{tmp_path / 'hub'}")


class TestOwnCode:
    @pytest.fixture(autouse=True)
    def _module(self, tmp_path, monkeypatch):
        source = "from torch import nn\ndef make(width=5):\n    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))\n"
        (tmp_path / "my_teachers.py").write_text(source)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(allowed, "_allowed", [])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.delitem(sys.modules, "my_teachers", raising=False)

    def test_function_and_weights(self):
        network = perturbed(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)))
        torch.save({"net": network.state_dict()}, "w.pt")
        loaded = load_network("my_teachers:make:w.pt", num_classes=3, arguments={"width": 5})
        assert torch.equal(loaded(images(2)), network(images(2)))
        assert get_training_data(loaded).num_classes == 3

    def test_without_weights_the_function_loads_them(self):
        assert load_network("my_teachers:make")(images(2)).shape == (2, 3)

    def test_refused(self):
        assert "cannot be imported" in error("my_teacher:make")
        assert "has no attribute 'mak'" in error("my_teachers:mak")
