"""Environment of ``ganmc compress``, for its cards."""

from __future__ import annotations

from ganmc_lightning.experiments.environment import describe_environment


def card_environment() -> dict[str, str]:
    """Return the device, the versions of packages and the commit, by name."""
    described = describe_environment("cpu")
    versions = described["versions"]
    assert isinstance(versions, dict)
    found = {"device": str(described["device"]), **{str(name): str(version) for name, version in versions.items()}}
    if described["git"] is not None:
        found["commit"] = str(described["git"])
    return found
