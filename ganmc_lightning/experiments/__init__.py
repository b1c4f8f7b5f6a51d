"""Experiments: a file that lists stages, one command line each, and the report of their results.

``config`` and ``report_config`` define the file; ``planning`` turns it into runs, with ``interpolation`` (paths of
other stages) and ``fingerprint`` (whether a result can be reused); ``scheduling``, ``runner`` and ``workers`` execute
them; ``results`` and ``tables`` turn results into rows; ``figures`` and ``plots`` add figures; ``report_builder``
computes the ``report`` that ``rendering`` writes. ``reproduce`` runs all steps.
"""
