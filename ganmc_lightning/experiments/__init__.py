"""Experiments: a file that chains command lines into stages, and the report of what they gave.

``spec``, ``reading`` and ``references`` are the file; ``plan`` turns it into command lines, ``runner``
makes them; ``gather``, ``statistics`` and ``table`` turn results into rows; ``document`` is the report that
``markdown``, ``html`` and ``figures`` render. ``reproduce`` ties them together.
"""
