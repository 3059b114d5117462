"""Generator of the Kubernetes manifests: pods, workloads, networking, and their kustomizations."""
