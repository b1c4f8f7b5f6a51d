"""Environment of a command, for its cards."""

from __future__ import annotations

from ganmc_lightning.experiments.environment import describe_environment


def card_environment(device: str = "cpu") -> dict[str, str]:
    """Return the device, the number of threads, the versions of packages and the commit, by name.

    Args:
        device: ``"cpu"`` (default) or the name of the GPU.
    """
    described = describe_environment(device)
    versions = described["versions"]
    assert isinstance(versions, dict)
    found = {"device": str(described["device"]), "threads": str(described["threads"])}
    found |= {str(name): str(version) for name, version in versions.items()}
    return found if described["git"] is None else {**found, "commit": str(described["git"])}
