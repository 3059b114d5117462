"""Baselines: the same operations on the same data, hand-written without a mesh."""
