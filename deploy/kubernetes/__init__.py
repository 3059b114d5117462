"""Kustomize overlays, their secrets and checks."""
