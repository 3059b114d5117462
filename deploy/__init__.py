"""Deployment: local runner, containers, Kubernetes, Envoy bootstraps and trace viewer."""
