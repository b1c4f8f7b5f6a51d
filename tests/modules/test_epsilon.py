from __future__ import annotations

import warnings

import pytest
import torch
from torch.optim import SGD, Adagrad, Adam, RMSprop

from ganmc_lightning.modules.epsilon import raise_epsilon


def weights(dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.ones(3, dtype=dtype, requires_grad=True)]


@pytest.mark.parametrize("kind", [Adam, RMSprop, Adagrad])
def test_a_parameter_without_gradient_stays_finite(kind: type[torch.optim.Optimizer]) -> None:
    parameters = weights(torch.float16)
    optimizer = kind(parameters)
    with pytest.warns(UserWarning, match=rf"eps of {kind.__name__} is raised from .* to 0\.001 .*16-true"):
        raise_epsilon([optimizer])
    parameters[0].grad = torch.tensor([0.0, 1e-4, 1.0], dtype=torch.float16)
    optimizer.step()
    assert parameters[0].isfinite().all()
    assert parameters[0][0] == 1


def test_all_others_are_left_alone() -> None:
    optimizers = [
        Adam(weights(torch.float32)),
        Adam(weights(torch.bfloat16)),
        Adam(weights(torch.float16), eps=0.01),
        SGD(weights(torch.float16)),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raise_epsilon(optimizers)
    assert [optimizer.param_groups[0].get("eps") for optimizer in optimizers] == [1e-8, 1e-8, 0.01, None]
