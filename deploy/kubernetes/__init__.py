"""Runs the whole system in Kubernetes."""
