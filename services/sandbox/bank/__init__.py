"""Emulated payment system."""
