"""Generator of the data services in the cluster: resources of their operators, and the settings of their clients."""
