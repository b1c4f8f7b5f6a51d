"""Run folders: layout, ``result.json``, ``metrics.csv``, checkpoints and signals."""
