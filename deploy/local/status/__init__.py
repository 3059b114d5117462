"""Terminal output of the local runner: progress, logs and the status view."""
