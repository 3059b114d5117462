"""Shared library of the services. It imports no service."""
