"""Emulated partner system."""
