"""Emulated Firebase Authentication."""
