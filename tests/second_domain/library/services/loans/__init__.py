"""Loans of readers."""
