"""Atomic file writing and validated file reading."""
