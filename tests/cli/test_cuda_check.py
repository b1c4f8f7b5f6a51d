from __future__ import annotations

import os

import pytest
import torch

from ganmc_lightning.cli.cuda_check import VARIABLE, skip_nvml_without_cuda


@pytest.mark.parametrize(("available", "expected"), [(True, "1"), (False, "0")])
def test_nvml_is_used_only_on_machines_with_cuda(
    monkeypatch: pytest.MonkeyPatch, available: bool, expected: str
) -> None:
    monkeypatch.setenv(VARIABLE, "1")  # as Lightning does
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    skip_nvml_without_cuda()
    assert os.environ[VARIABLE] == expected
