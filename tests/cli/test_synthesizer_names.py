from __future__ import annotations

import pytest

from ganmc_lightning.cli.synthesizer_names import check_synthesizer_names
from ganmc_lightning.exceptions import ConfigurationError


def test_accepted():
    check_synthesizer_names(["jitter-01", "ctgan_0.1", "2nd", "_gan", "größer"], ["best"])


@pytest.mark.parametrize("name", ["best", "a/b", "real+gan", "..", "-a", "", "a b", "a\n"])
def test_refused(name):
    with pytest.raises(ConfigurationError, match="expected distinct names of letters, digits, '_', ") as caught:
        check_synthesizer_names(["gan", name], ["best"])
    assert "\n" not in str(caught.value)


def test_repeated():
    with pytest.raises(ConfigurationError, match="got the name 'gan'"):
        check_synthesizer_names(["gan", "gan"], [])
