"""Experiments: a file that lists stages, one command line each, and the report of their results.

``config``, ``report_config`` and ``references`` define the file; ``planning`` turns it into command lines, ``runner``
and ``workers`` execute them; ``results`` and ``tables`` turn results into rows; ``figures`` and ``plots`` add figures;
``report_builder`` computes the ``report`` that ``rendering`` writes. ``reproduce`` runs all steps.
"""
