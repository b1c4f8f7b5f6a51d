"""The config that a stage trains with: its config files, merged, with dotted overrides on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def merge_configs(configs: Sequence[object], overrides: Mapping[str, object]) -> dict[str, object]:
    """Merge config files and dotted overrides, later ones on top.

    As on the command line, another ``class_path`` replaces a class together with its arguments, and lists are
    replaced as a whole.

    Args:
        configs: contents of the config files.
        overrides: dotted key -> value.

    Example:
        >>> config = {"data": {"p_fake": 0.5, "synthesizer": {"class_path": "GAN", "init_args": {"path": "gan.ckpt"}}}}
        >>> merge_configs([config], {"data.p_fake": 0.2, "data.synthesizer": "SMOTE"})
        {'data': {'p_fake': 0.2, 'synthesizer': 'SMOTE'}}
        >>> merge_configs([config], {"data.synthesizer.init_args.path": "other.ckpt"})["data"]["synthesizer"]
        {'class_path': 'GAN', 'init_args': {'path': 'other.ckpt'}}
    """
    merged: object = {}
    for config in configs:
        merged = _merge(merged, config if isinstance(config, Mapping) else {})
    for key, value in overrides.items():
        for name in reversed(key.split(".")):
            value = {name: value}
        merged = _merge(merged, value)
    assert isinstance(merged, dict)
    return merged


def _merge(base: object, update: object) -> object:
    if not isinstance(update, Mapping):
        return update
    if isinstance(base, str) and "class_path" not in update and set(update) <= {"init_args", "dict_kwargs"}:
        base = {"class_path": base}  # the short form of a class without arguments
    if not isinstance(base, Mapping) or update.get("class_path", base.get("class_path")) != base.get("class_path"):
        return {key: _merge(None, value) for key, value in update.items()}
    return {**base, **{key: _merge(base.get(key), value) for key, value in update.items()}}
