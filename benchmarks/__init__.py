"""Speed and memory, as ratios and figures of one run: ``python -m benchmarks`` or ``make bench``."""
