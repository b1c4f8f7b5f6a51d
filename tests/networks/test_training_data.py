from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from ganmc_lightning.batch import DataSpec, Statistics
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Frozen, MLPClassifier, TabularGenerator
from ganmc_lightning.networks.training_data import (
    Affine,
    check_classes,
    check_statistics,
    get_training_data,
    input_conversion,
    output_conversion,
    set_training_data,
)


def statistics(mean, std, *curves):
    return Statistics(torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64), curves)


def rows(mean=(5.0, -2.0), std=(2.0, 0.5), *curves, names=()):
    return DataSpec((2,), 3, names, statistics(mean, std, *curves))


def images(mean, std):
    return DataSpec((1, 4, 4), 3, (), statistics(mean, std))


def trained_on(spec, network=None):
    network = MLPClassifier(2, 3) if network is None else network
    set_training_data(network, spec)
    return network


def error_of(call, *args):
    with pytest.raises(ConfigurationError) as caught:
        call("model.teacher", *args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestRecord:
    def test_found_inside_compiled_networks_and_copies(self):
        spec, network = rows(), MLPClassifier(2, 3)
        assert get_training_data(network) is None
        set_training_data(torch.compile(network, backend="eager"), spec)
        assert get_training_data(network) is spec
        assert get_training_data(copy.deepcopy(network)).class_names == spec.class_names

    def test_survives_a_checkpoint(self, tmp_path):
        curve = torch.tensor([[0.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)
        spec = rows((1.0, 2.0), (3.0, 4.0), curve, curve, names=("a", "b", "c"))
        torch.save(spec.state_dict(), tmp_path / "spec.pt")
        read = DataSpec.from_state_dict(torch.load(tmp_path / "spec.pt", weights_only=True))
        assert read[:3] == spec[:3]
        assert torch.equal(read.statistics.mean, spec.statistics.mean)
        assert torch.equal(read.statistics.std, spec.statistics.std)
        assert all(
            torch.equal(*pair) for pair in zip(read.statistics.quantiles, spec.statistics.quantiles, strict=True)
        )
        assert DataSpec.from_state_dict(DataSpec((0,), 1).state_dict()) == DataSpec((0,), 1)


class TestClasses:
    def test_same_names(self):
        check_classes("x", trained_on(rows(names=("a", "b", "c"))), rows(names=("a", "b", "c")))

    @pytest.mark.parametrize(("its", "due"), [((), ("a", "b", "c")), (("a", "b", "c"), ())])
    def test_names_that_nobody_gave(self, its, due):
        check_classes("x", trained_on(rows(names=its)), rows(names=due))

    @pytest.mark.parametrize("due", [("a", "c", "b"), ("a", "x", "c")])
    def test_another_order_or_other_names(self, due):
        network = trained_on(rows(names=("a", "b", "c")))
        for each in (network, Frozen(network), nn.Sequential(nn.Identity(), network)):
            message = error_of(check_classes, each, rows(names=due))
            assert message.startswith(f"model.teacher: class 1 of its training data is 'b', expected '{due[1]}'")


class TestRows:
    def test_scaled_alike_is_left_alone(self):
        assert isinstance(input_conversion("x", trained_on(rows()), rows()), nn.Identity)
        assert isinstance(input_conversion("x", MLPClassifier(2, 3), rows()), nn.Identity)

    def test_z_scores_of_other_rows_are_rescaled(self):
        """The network's input is (x - its mean) / its std for all z-scores of the data."""
        random = torch.Generator().manual_seed(0)
        own_units = torch.randn(50, 2, generator=random, dtype=torch.float64) * torch.tensor([2.0, 0.5]) + 4
        here, there = rows((5.0, -2.0), (2.0, 0.5)), rows((4.0, -2.2), (3.0, 0.4))

        def z_scores(spec):
            return ((own_units - spec.statistics.mean) / spec.statistics.std).float()

        conversion = input_conversion("x", trained_on(there), here)
        torch.testing.assert_close(conversion(z_scores(here)), z_scores(there), rtol=1e-5, atol=1e-5)
        generator = trained_on(there, TabularGenerator(2, 3))
        back = output_conversion("x", generator, here)
        torch.testing.assert_close(back(z_scores(there)), z_scores(here), rtol=1e-5, atol=1e-5)
        assert conversion(z_scores(here).bfloat16()).dtype == torch.bfloat16
        assert not conversion.state_dict()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_is_rounded_once(self, dtype):
        """A network with weights of half precision converts its inputs in float32."""
        random = torch.Generator().manual_seed(0)
        scale, shift = (torch.randn(5, generator=random, dtype=torch.float64) for _ in range(2))
        inputs = torch.randn(100, 5, generator=random).to(dtype)
        expected = Affine(scale, shift)(inputs.float()).to(dtype)
        network = nn.Sequential(Affine(scale, shift), nn.Linear(5, 2)).to(dtype)
        assert torch.equal(network[0](inputs), expected)
        assert network(inputs).dtype == dtype
        assert network.to("meta")[0].scale.is_meta
        assert [*network.state_dict()] == ["1.weight", "1.bias"]

    def test_a_frozen_network_is_rescaled_for(self):
        network = trained_on(rows((4.0, -2.2), (3.0, 0.4))).eval()
        frozen, inputs = Frozen(network), torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
        frozen.adapt_to("x", rows())
        expected = network(input_conversion("x", network, rows())(inputs))
        assert torch.equal(frozen(inputs), expected)
        assert not torch.allclose(frozen(inputs), network(inputs))
        frozen.adapt_to("x", rows((4.0, -2.2), (3.0, 0.4)))
        assert torch.equal(frozen(inputs), network(inputs))

    @pytest.mark.parametrize(("its", "std"), [((5000.0, -2.0), (2000.0, 0.5)), ((5.0, -2.0), (2.0, 50.0))])
    def test_other_units(self, its, std):
        message = error_of(input_conversion, trained_on(rows(its, std)), rows())
        assert re.search(r"column [01] of its training rows has mean", message)

    def test_constant_columns_are_divided_by_one(self):
        there = rows((5.0, -2.0), (2.0, 0.001))
        assert not isinstance(input_conversion("x", trained_on(there), rows((5.0, -2.0), (2.0, 1.0))), nn.Identity)

    def test_quantile_transform_and_z_scores(self):
        curve = torch.tensor([[0.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)
        scores = rows((0.0, 0.0), (1.0, 1.0), curve, curve)
        assert "trained with data.quantile_transform true, got false" in error_of(
            input_conversion, trained_on(scores), rows()
        )
        assert "trained with data.quantile_transform false, got true" in error_of(
            input_conversion, trained_on(rows()), scores
        )
        others = rows((0.0, 0.0), (1.0, 1.0), curve, curve * 2)
        assert "quantile transform of other rows" in error_of(input_conversion, trained_on(others), scores)
        assert isinstance(input_conversion("x", trained_on(scores), scores), nn.Identity)

    def test_another_number_of_columns(self):
        other = DataSpec((3,), 3, (), statistics([0.0] * 3, [1.0] * 3))
        assert "of 3 columns, expected 2" in error_of(input_conversion, trained_on(other), rows())

    def test_not_converted_inside_another_module_which_may_rescale_itself(self):
        wrapped = nn.Sequential(nn.Identity(), trained_on(rows((4.0, -2.2), (3.0, 0.4))))
        assert "scaled by other means" in error_of(input_conversion, wrapped, rows())
        assert "scaled by other means" in error_of(check_statistics, wrapped, rows())

    def test_classes_are_compared_only_for_conditional_generators(self):
        here, there = rows(names=("a", "b", "c")), rows(names=("c", "b", "a"))
        assert "class 0 of its training data is 'c'" in error_of(
            output_conversion, trained_on(there, TabularGenerator(2, 3)), here
        )
        plain = trained_on(there, nn.Linear(2, 2))
        assert isinstance(output_conversion("x", plain, here), nn.Identity)


class TestImages:
    def test_similar_ones(self):
        network = trained_on(images([0.13], [0.31]))
        assert isinstance(input_conversion("x", network, images([0.29], [0.35])), nn.Identity)

    @pytest.mark.parametrize(("mean", "std"), [([0.87], [0.31]), ([0.0005], [0.0039])])
    def test_inverted_or_of_another_range(self, mean, std):
        message = error_of(input_conversion, trained_on(images(mean, std)), images([0.13], [0.31]))
        assert message.startswith("model.teacher: channel 0 of its training images has mean ")
