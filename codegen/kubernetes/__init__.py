"""Generator of the Kubernetes manifests."""
