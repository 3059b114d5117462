"""Terminal output: progress, logs and the status view."""
