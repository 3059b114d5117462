"""Cluster on one host: engines and services run several times, on simulated machines (network namespaces)."""
