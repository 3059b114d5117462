"""Emulated push providers and devices."""
