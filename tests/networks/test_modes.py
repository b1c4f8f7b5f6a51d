from __future__ import annotations

import pytest
from torch import nn

from ganmc_lightning.networks import Frozen
from ganmc_lightning.networks.modes import evaluating


def network():
    return nn.Sequential(nn.Dropout(), Frozen(nn.Sequential(nn.Dropout())), nn.Sequential(nn.BatchNorm1d(2)).eval())


def flags(module):
    return [child.training for child in module.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_flags_of_all_submodules_are_restored(training):
    module = network()
    module.training = training
    before = flags(module)
    with evaluating(module):
        assert not any(flags(module))
    assert flags(module) == before
    assert any(before)


def test_flags_are_restored_after_an_exception():
    module = network()
    before = flags(module)
    with pytest.raises(RuntimeError, match="inside"), evaluating(module):
        raise RuntimeError("inside")
    assert flags(module) == before


def test_nested_contexts():
    module = network()
    before = flags(module)
    with evaluating(module):
        with evaluating(module):
            pass
        assert not any(flags(module))
    assert flags(module) == before
