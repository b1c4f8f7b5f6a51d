"""The files of this folder are scripts and their modules, which pytest must not import."""

collect_ignore_glob = ["*.py"]
