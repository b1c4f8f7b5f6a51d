"""Experiments: a file that lists stages, one command line each, and the report of their results.

``config`` and ``references`` define the file; ``planning`` turns it into command lines, ``runner`` and ``workers``
execute them; ``results``, ``statistics`` and ``table`` turn results into rows; ``report`` is the report that
``markdown``, ``html`` and ``figures`` render. ``reproduce`` runs all steps.
"""
