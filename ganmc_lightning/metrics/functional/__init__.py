"""Metric computations on arrays of features."""
