"""Checkpoints built by hand, valid and invalid."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.export import export_network
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    Frozen,
    Generator,
    MLPClassifier,
    TabularGenerator,
    allowed,
    load_acgan_discriminator,
    load_discriminator,
    load_generator,
    load_network,
)
from ganmc_lightning.networks.allowed import allow_import
from ganmc_lightning.networks.checkpoints import read_checkpoint, recipe_from_checkpoint
from ganmc_lightning.networks.recipes import instantiate_network
from ganmc_lightning.networks.resolving import resolve_recipe
from ganmc_lightning.networks.training_data import get_training_data

RECIPE = {
    "class_path": "ganmc_lightning.networks.MLPClassifier",
    "init_args": {"in_features": 4, "num_classes": 3, "hidden": [5]},
}
POINTER = "ganmc_lightning.networks.load_network"


class Own(nn.Module):
    """Builds its network from its own arguments, as a subclass of a training procedure does."""

    def __init__(self, width=2, optimizer="none given"):
        super().__init__()
        self.network = MLPClassifier(4, 3, (width,))
        self.optimizer = optimizer


OWN = f"{__name__}.Own"
REFUSED = "expected a network of ganmc_lightning, torch.nn"


@pytest.fixture
def own_allowed(monkeypatch):
    """The user allows this module."""
    monkeypatch.setattr(allowed, "_allowed", [])
    allow_import(__name__)


def mlp(seed=0):
    torch.manual_seed(seed)
    return MLPClassifier(4, 3, (5,))


def save(path, hyper_parameters, **parts):
    state = {f"{submodule}.{key}": value for submodule, net in parts.items() for key, value in net.state_dict().items()}
    content = {"state_dict": state, "epoch": 3}
    if hyper_parameters is not None:
        content["hyper_parameters"] = hyper_parameters
    torch.save(content, path)
    return str(path)


@pytest.fixture
def path(tmp_path):
    """A classifier's checkpoint."""
    return save(tmp_path / "run.ckpt", {"network": RECIPE, "_class_path": "some.Module", "lr": 0.1}, network=mlp())


def error_of(call, *args, **named):
    with pytest.raises(ConfigurationError) as caught:
        call(*args, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


class TestRoundTrip:
    def test_from_the_file_alone(self, path):
        network = load_network(path, "network")
        assert type(network) is MLPClassifier
        assert same(network, mlp())
        inputs = torch.randn(6, 4)
        assert torch.equal(network(inputs), mlp().eval()(inputs))
        assert not any(module.training for module in network.modules())

    def test_submodules_with_a_common_prefix_are_distinguished(self, tmp_path):
        recipes = {"student": RECIPE, "student_ema": RECIPE}
        path = save(tmp_path / "a.ckpt", recipes, student=mlp(1), student_ema=mlp(2))
        assert same(load_network(path, "student"), mlp(1))
        assert same(load_network(path, "student_ema"), mlp(2))

    def test_networks_within_networks(self, tmp_path):
        recipe = {"class_path": "ganmc_lightning.networks.Frozen", "init_args": {"network": RECIPE, "dropout": True}}
        network = load_network(save(tmp_path / "a.ckpt", {"teacher": recipe}, teacher=Frozen(mlp())), "teacher")
        assert isinstance(network, Frozen)
        assert network.dropout is True
        assert same(network.network, mlp())

    def test_foreign_networks(self, tmp_path):
        recipe = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 2, "out_features": 3}}
        torch.manual_seed(0)
        network = nn.Linear(2, 3)
        path = save(tmp_path / "a.ckpt", {"student": recipe}, student=network)
        assert same(load_network(path, "student"), network)

    def test_generator(self, tmp_path):
        arguments = {"image_size": 8, "channels": 1, "num_classes": 2, "latent_dim": 3, "width": 2}
        recipe = {"class_path": "ganmc_lightning.networks.ACGANGenerator", "init_args": arguments}
        made = ACGANGenerator(**arguments)
        generator = load_generator(save(tmp_path / "a.ckpt", {"generator": recipe}, generator=made))
        assert isinstance(generator, Generator)
        assert same(generator, made)
        assert not generator.training

    def test_into_a_network_at_hand(self, tmp_path):
        path = save(tmp_path / "a.ckpt", None, network=mlp(1))
        given = mlp(2).train()
        assert load_network(path, "network", given) is given
        assert same(given, mlp(1))
        assert not given.training


@pytest.mark.usefixtures("own_allowed")
class TestModulesThatBuildTheirOwn:
    def test_from_their_arguments(self, tmp_path):
        hyper_parameters = {"_class_path": OWN, "_instantiator": "some.function", "width": 7}
        path = save(tmp_path / "a.ckpt", hyper_parameters, network=MLPClassifier(4, 3, (7,)))
        assert load_network(path, "network").classifier.in_features == 7

    def test_optimizers_among_the_arguments_are_passed_over(self, tmp_path):
        adam = {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}}
        path = save(
            tmp_path / "a.ckpt", {"_class_path": OWN, "width": 7, "optimizer": adam}, network=MLPClassifier(4, 3, (7,))
        )
        assert "optimizer" not in recipe_from_checkpoint(read_checkpoint(path), "network", path)["init_args"]
        assert load_network(path, "network").classifier.in_features == 7

    def test_not_without_leave(self, tmp_path, monkeypatch):
        monkeypatch.setattr(allowed, "_allowed", [])
        path = save(tmp_path / "a.ckpt", {"_class_path": OWN, "width": 7}, network=MLPClassifier(4, 3, (7,)))
        message = error_of(load_network, path, "network")
        assert message.startswith(f"{path}: got the class_path '{OWN}', {REFUSED}")
        assert "--import MODULE" in message

    def test_a_part_they_do_not_have(self, tmp_path):
        path = save(tmp_path / "a.ckpt", {"_class_path": OWN}, student=mlp())
        assert "the recipe builds a NoneType, expected an nn.Module" in error_of(load_network, path, "student")


class TestBadFiles:
    def test_missing(self, tmp_path):
        path = str(tmp_path / "no.ckpt")
        assert error_of(load_network, path, "network") == f"{path}: checkpoint not found"

    def test_a_folder(self, tmp_path):
        assert "checkpoint not found" in error_of(read_checkpoint, str(tmp_path))

    @pytest.mark.parametrize("zipped", [True, False])
    def test_truncated_anywhere(self, tmp_path, zipped):
        whole = tmp_path / "whole.ckpt"
        torch.save({"state_dict": mlp().state_dict()}, whole, _use_new_zipfile_serialization=zipped)
        content, submodule = whole.read_bytes(), tmp_path / "submodule.ckpt"
        for length in range(0, len(content), len(content) // 40):
            submodule.write_bytes(content[:length])
            message = error_of(read_checkpoint, str(submodule))
            assert message.startswith(f"{submodule}: cannot be read as a checkpoint: ")

    @pytest.mark.parametrize("content", [b"hello world\n", b"model:\n  class_path: a\n", b"{}", b".", b"\x80\x02."])
    def test_something_else(self, tmp_path, content):
        path = tmp_path / "config.yaml"
        path.write_bytes(content)
        assert "config.yaml: cannot be read as a checkpoint" in error_of(read_checkpoint, str(path))

    def test_flipped_bits_raise_nothing_else(self, path):
        content, dice = Path(path).read_bytes(), random.Random(0)
        refused = 0
        for _ in range(150):
            flipped = bytearray(content)
            flipped[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            Path(path).write_bytes(bytes(flipped))
            try:
                load_network(path, "network")  # a flip in the weights shows nowhere
            except ConfigurationError:
                refused += 1
        assert refused > 10

    @pytest.mark.parametrize(
        "content", [[1, 2], {"weights": torch.zeros(1)}, {"state_dict": 1}, {"state_dict": {0: torch.zeros(1)}}]
    )
    def test_not_of_this_package(self, tmp_path, content):
        torch.save(content, tmp_path / "a.ckpt")
        assert ": got " in error_of(read_checkpoint, str(tmp_path / "a.ckpt"))

    def test_unknown_submodule_error_lists_the_submodules(self, tmp_path):
        path = save(tmp_path / "a.ckpt", {"student": RECIPE}, student=mlp(), generator=nn.Linear(1, 1))
        message = error_of(load_network, path, "network")
        assert message == f"{path}: got the submodules generator, student, expected 'network'"

    def test_nothing_held(self, tmp_path):
        path = save(tmp_path / "a.ckpt", {})
        assert "got the submodules none, expected" in error_of(load_network, path, "network")


class Touch:
    """Create a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class TestCode:
    @pytest.mark.parametrize("zipped", [True, False])
    def test_pickled_code_does_not_run(self, tmp_path, zipped):
        path, mark = tmp_path / "a.ckpt", tmp_path / "mark"
        content = {"state_dict": {"network.weight": torch.zeros(1)}, "hyper_parameters": {"x": Touch(mark)}}
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        assert "posix.system" in error_of(load_network, str(path), "network")
        assert not mark.exists()

    def test_a_bare_pickle_does_not_run(self, tmp_path):
        path, mark = tmp_path / "a.ckpt", tmp_path / "mark"
        path.write_bytes(pickle.dumps(Touch(mark), protocol=2))
        error_of(load_network, str(path), "network")
        assert not mark.exists()
        pickle.loads(path.read_bytes())  # the trap was set
        assert mark.exists()

    @pytest.mark.parametrize(
        "class_path",
        [
            "os.system",
            "builtins.eval",
            "builtins.dict",
            "subprocess.Popen",
            "torch.load",
            "torch.optim.Adam",
            "torch.nn",
            "ganmc_lightning.__main__.main",
            "ganmc_lightning.modules.ClassifierModule",
        ],
    )
    def test_recipes_name_networks_only(self, tmp_path, class_path):
        arguments = {"command": f"touch {tmp_path / 'mark'}"}
        recipe = {"class_path": class_path, "init_args": arguments}
        nested = {"class_path": "ganmc_lightning.networks.Frozen", "init_args": {"network": recipe}}
        listed = {"class_path": "torch.nn.ModuleList", "init_args": {"modules": [RECIPE, recipe]}}
        for submodule in (recipe, nested, listed):
            path = save(tmp_path / "a.ckpt", {"network": submodule}, network=mlp())
            message = error_of(load_network, path, "network")
            assert message.startswith(f"{path}: ")
            refusals = (REFUSED, "does not exist in the installed ganmc_lightning", "is not a network")
            assert any(refusal in message for refusal in refusals)
        assert not (tmp_path / "mark").exists()

    def test_nor_does_the_name_of_the_procedure(self, tmp_path):
        hyper_parameters = {"_class_path": "os.system", "command": f"touch {tmp_path / 'mark'}"}
        path = save(tmp_path / "a.ckpt", hyper_parameters, network=mlp())
        assert f"got the class_path 'os.system', {REFUSED}" in error_of(load_network, path, "network")
        assert not (tmp_path / "mark").exists()


class TestBadRecipes:
    @pytest.mark.parametrize("class_path", ["no_such_package.Net", "Net", "..os.Net", "", None, 3, ["Net"]])
    def test_not_on_the_list(self, tmp_path, class_path):
        path = save(tmp_path / "a.ckpt", {"network": {**RECIPE, "class_path": class_path}}, network=mlp())
        assert REFUSED in error_of(load_network, path, "network")

    def test_not_defined(self, tmp_path):
        path = save(tmp_path / "a.ckpt", {"network": {**RECIPE, "class_path": "torch.nn.NoLayer"}}, network=mlp())
        message = error_of(load_network, path, "network")
        assert (
            message
            == f"{path}: torch.nn.NoLayer does not exist in the installed torch.nn; install a version that defines it"
        )

    @pytest.mark.parametrize("init_args", [[1], "text", {5: 6}])
    def test_arguments_of_another_kind(self, tmp_path, init_args):
        path = save(tmp_path / "a.ckpt", {"network": {**RECIPE, "init_args": init_args}}, network=mlp())
        assert path in error_of(load_network, path, "network")

    def test_references_that_multiply(self, tmp_path):
        """A few hundred bytes that expand to 10 ** 12 values."""
        bomb = [0] * 10
        for _ in range(11):
            bomb = [bomb] * 10
        path = save(tmp_path / "a.ckpt", {"network": {**RECIPE, "init_args": {"hidden": bomb}}}, network=mlp())
        assert "recipe of more than 100000 values" in error_of(load_network, path, "network")

    def test_a_list_that_holds_itself(self, tmp_path):
        ring = []
        ring.append(ring)
        path = save(tmp_path / "a.ckpt", {"network": {**RECIPE, "init_args": {"hidden": ring}}}, network=mlp())
        assert "nested more than 32 deep" in error_of(load_network, path, "network")

    def test_a_pointer_to_its_own_file(self, tmp_path):
        pointer = {"class_path": POINTER, "init_args": {"path": str(tmp_path / "a.ckpt"), "submodule": "network"}}
        for recipe in (pointer, {"class_path": "ganmc_lightning.networks.Frozen", "init_args": {"network": pointer}}):
            path = save(tmp_path / "a.ckpt", {"network": recipe}, network=mlp())
            assert "refers to its own file" in error_of(load_network, path, "network")

    @pytest.mark.parametrize(
        "arguments", [{}, {"in_features": 4, "num_classes": 3, "depth": 1}, {"in_features": -4, "num_classes": 3}]
    )
    def test_not_buildable(self, tmp_path, arguments):
        path = save(tmp_path / "a.ckpt", {"network": {**RECIPE, "init_args": arguments}}, network=mlp())
        message = error_of(load_network, path, "network")
        assert message.startswith(f"{path}: cannot build ganmc_lightning.networks.MLPClassifier from its recipe (")
        assert message.endswith("pass the network: load_network(path, submodule, network)")

    def test_abstract(self, tmp_path):
        recipe = {"class_path": "ganmc_lightning.networks.Discriminator", "init_args": {}}
        path = save(tmp_path / "a.ckpt", {"discriminator": recipe}, discriminator=mlp())
        assert "abstract class Discriminator" in error_of(load_network, path, "discriminator")

    @pytest.mark.parametrize(
        "hyper_parameters",
        [None, {}, {"network": 5}, {"width": 3}, [1], {"_class_path": "ganmc_lightning.modules.gan.GANModule"}],
    )
    def test_missing(self, tmp_path, hyper_parameters):
        path = save(tmp_path / "a.ckpt", hyper_parameters, network=mlp())
        message = error_of(load_network, path, "network")
        assert message.startswith(f"{path}: got no recipe of 'network'")
        assert "load_network(path, submodule, network)" in message

    def test_missing_where_the_procedure_had_a_live_network(self, tmp_path):
        """A checkpoint of a run from Python: the module's class and no arguments."""
        class_path = "ganmc_lightning.networks.Frozen"
        path = save(tmp_path / "a.ckpt", {"_class_path": class_path}, network=mlp())
        message = error_of(load_network, path, "network")
        assert f"build {class_path} " in message
        assert "'network'); pass the network: load_network(path, submodule, network)" in message

    def test_weights_of_another_shape(self, tmp_path):
        path = save(tmp_path / "a.ckpt", {"network": RECIPE}, network=MLPClassifier(4, 3, (6,)))
        message = error_of(load_network, path, "network")
        assert message.startswith(f"{path}: the weights of 'network' do not match its network: size mismatch for ")

    @pytest.mark.parametrize("network", [MLPClassifier(4, 3, (5, 5)), MLPClassifier(4, 3, ())])
    def test_weights_of_another_network(self, path, network):
        assert "do not match its network" in error_of(load_network, path, "network", network)

    def test_a_classifier_is_no_generator(self, path):
        assert (
            error_of(load_generator, path, "network") == f"{path}: 'network' is a MLPClassifier, expected a generator"
        )

    def test_no_generator_held(self, path):
        assert error_of(load_generator, path) == f"{path}: got the submodules network, expected 'generator'"


class TestPointers:
    @pytest.mark.parametrize(
        "class_path",
        [POINTER, "ganmc_lightning.networks.loading.load_network", "ganmc_lightning.load_network"],
    )
    def test_resolved_to_the_layers(self, path, class_path):
        pointer = {"class_path": class_path, "init_args": {"path": path, "submodule": "network", "network": None}}
        assert resolve_recipe(pointer) == RECIPE

    def test_of_a_generator(self, tmp_path):
        arguments = {"num_features": 2}
        recipe = {"class_path": "ganmc_lightning.networks.TabularGenerator", "init_args": arguments}
        path = save(tmp_path / "a.ckpt", {"generator": recipe}, generator=TabularGenerator(**arguments))
        pointer = {
            "class_path": "ganmc_lightning.networks.load_generator",
            "init_args": {"path": path, "submodule": "generator"},
        }
        assert resolve_recipe(pointer) == recipe

    def test_of_an_exported_generator(self, tmp_path):
        recipe = {"class_path": "ganmc_lightning.networks.TabularGenerator", "init_args": {"num_features": 2}}
        (file,) = export_network(TabularGenerator(2), tmp_path, ["safetensors"], spec=DataSpec((2,), 2), recipe=recipe)
        for loader in ("load_generator", "load_network"):
            class_path = f"ganmc_lightning.networks.{loader}"
            pointer = {"class_path": class_path, "init_args": {"path": str(file.path)}}
            assert resolve_recipe(pointer) == recipe
        later = save(tmp_path / "later.ckpt", {"generator": recipe}, generator=TabularGenerator(2))
        file.path.unlink()
        assert load_generator(later).sample_shape == (2,)

    def test_survive_the_earlier_file(self, path, tmp_path):
        pointer = {"class_path": POINTER, "init_args": {"path": path, "submodule": "network"}}
        later = save(tmp_path / "later.ckpt", {"student": resolve_recipe(pointer)}, student=mlp(7))
        Path(path).unlink()
        assert same(load_network(later, "student"), mlp(7))

    def test_unresolved_ones_are_followed(self, path, tmp_path):
        pointer = {"class_path": POINTER, "init_args": {"path": path, "submodule": "network"}}
        later = save(tmp_path / "later.ckpt", {"student": pointer}, student=mlp(7))
        assert same(load_network(later, "student"), mlp(7))  # layers from there, weights from here

    @pytest.mark.usefixtures("own_allowed")
    def test_to_a_procedure_that_builds_its_own(self, tmp_path):
        path = save(tmp_path / "a.ckpt", {"_class_path": OWN, "width": 7}, network=MLPClassifier(4, 3, (7,)))
        recipe = resolve_recipe({"class_path": POINTER, "init_args": {"path": path, "submodule": "network"}})
        later = save(tmp_path / "b.ckpt", {"student": recipe}, student=MLPClassifier(4, 3, (7,)))
        assert load_network(later, "student").classifier.in_features == 7

    def test_with_a_network_at_hand(self, tmp_path):
        """The fix for a run from Python, written in a configuration: the network given there is the recipe."""
        path = save(tmp_path / "a.ckpt", None, network=mlp())
        arguments = {"path": path, "submodule": "network", "network": RECIPE}
        assert resolve_recipe({"class_path": POINTER, "init_args": arguments}) == RECIPE

    def test_to_a_missing_file(self, tmp_path):
        pointer = {"class_path": POINTER, "init_args": {"path": str(tmp_path / "no.ckpt"), "submodule": "network"}}
        assert "checkpoint not found" in error_of(resolve_recipe, pointer)

    @pytest.mark.parametrize(
        ("name", "arguments", "required"),
        [
            ("load_network", {}, "path"),
            ("load_network", {"path": None}, "path"),
            ("load_network", ["a.ckpt"], "path"),
            ("load_generator", {"submodule": "generator"}, "path"),
            ("build_network", {"num_classes": 3}, "reference"),
        ],
    )
    def test_without_a_file(self, name, arguments, required):
        class_path = f"ganmc_lightning.networks.{name}"
        message = error_of(resolve_recipe, {"class_path": class_path, "init_args": arguments})
        assert message == f"{class_path}: got no {required}, expected init_args with {required}: TEXT"

    @pytest.mark.parametrize("value", [RECIPE, 3, None, "text", {"a": 1}, [RECIPE], {"class_path": "no.such.Thing"}])
    def test_anything_else_passes(self, value):
        assert resolve_recipe(value) is value


def test_loading_leaves_the_random_state_unchanged(path):
    """A stage without a generator has the initial weights of a stage that loads one."""
    torch.manual_seed(3)
    load_network(path, "network")
    built = instantiate_network(RECIPE, "a.ckpt")
    assert same(built, mlp(3))
    assert not same(instantiate_network(RECIPE, "a.ckpt"), built)


def test_fresh_weights():
    torch.manual_seed(3)
    built = instantiate_network(RECIPE, "a.ckpt")
    assert same(built, mlp(3))


def test_discriminator_loaders_accept_only_discriminators(tmp_path):
    discriminator = ACGANDiscriminator(8, 1, 3, width=2)
    recipe = {
        "class_path": "ganmc_lightning.networks.ACGANDiscriminator",
        "init_args": {"image_size": 8, "channels": 1, "num_classes": 3, "width": 2},
    }
    weights = {f"discriminator.{name}": value for name, value in discriminator.state_dict().items()}
    path = tmp_path / "gan.ckpt"
    torch.save({"state_dict": weights, "hyper_parameters": {"discriminator": recipe}}, path)
    rebuilt = load_acgan_discriminator(str(path))
    inputs = torch.randn(4, 1, 8, 8)
    for one, other in zip(rebuilt(inputs), discriminator.eval()(inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    with pytest.raises(ConfigurationError, match="expected a generator"):
        load_generator(str(path), "discriminator")
    classifier = save(tmp_path / "a.ckpt", {"network": RECIPE}, network=mlp())
    with pytest.raises(ConfigurationError, match="expected a discriminator of an AC-GAN"):
        load_acgan_discriminator(classifier, "network")
    with pytest.raises(ConfigurationError, match="expected a discriminator without class logits"):
        load_discriminator(classifier, "network")


class TestWrappedNetworks:
    """Checkpoints of compiled and distributed networks."""

    @pytest.mark.parametrize(
        "rename",
        [
            lambda key: f"student._orig_mod.{key}",
            lambda key: f"student.module.{key}",
            lambda key: f"student.{key.replace('features', 'features._orig_mod')}",
            lambda key: f"_orig_mod.student.{key}",
            lambda key: f"module.student._orig_mod.{key}",
        ],
    )
    def test_prefixes_are_passed_over(self, tmp_path, rename):
        path = tmp_path / "a.ckpt"
        state = {rename(key): value for key, value in mlp(1).state_dict().items()}
        torch.save({"state_dict": state, "hyper_parameters": {"student": RECIPE}}, path)
        assert same(load_network(str(path), "student"), mlp(1))
        compiled = torch.compile(mlp(2), backend="eager")
        load_network(str(path), "student", compiled)
        assert same(compiled._orig_mod, mlp(1))

    def test_parts_are_named_without_them(self, tmp_path):
        path = save(tmp_path / "a.ckpt", {}, **{"module.student": mlp()})
        assert "got the submodules student, expected" in error_of(load_network, path, "network")

    def test_a_generator_among_them(self, tmp_path):
        recipe = {"class_path": "ganmc_lightning.networks.TabularGenerator", "init_args": {"num_features": 2}}
        made = TabularGenerator(2)
        path = save(tmp_path / "a.ckpt", {"student": recipe}, **{"module.student": made})
        assert same(load_generator(path), made)


class TestTrainedOn:
    def record(self, tmp_path, record):
        path = tmp_path / "a.ckpt"
        state = {f"network.{key}": value for key, value in mlp().state_dict().items()}
        torch.save({"state_dict": state, "hyper_parameters": {"network": RECIPE}, "trained_on": record}, path)
        return str(path)

    def test_attached_to_the_network(self, tmp_path):
        spec = DataSpec((4,), 3, ("a", "b", "c"))
        path = self.record(tmp_path, spec.state_dict())
        assert get_training_data(load_network(path, "network")) == spec
        assert get_training_data(load_network(path, "network", mlp())) == spec

    def test_checkpoints_that_do_not_tell(self, path):
        assert get_training_data(load_network(path, "network")) is None

    @pytest.mark.parametrize("record", [3, [], {"sample_shape": [4]}, {"sample_shape": 4, "statistics": None}])
    def test_damaged(self, tmp_path, record):
        message = error_of(load_network, self.record(tmp_path, record), "network")
        assert "a.ckpt: 'trained_on' is damaged" in message
