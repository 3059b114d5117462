"""The whole mesh on one machine: servers, the outside world, services and sidecars, as children of one supervisor."""
