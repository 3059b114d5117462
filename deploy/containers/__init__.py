"""Runs the whole system in containers."""
