"""Process lifecycle: command line, background tasks and the metrics endpoint."""
