"""Process lifecycle: command line, background tasks, metrics endpoint and queue depth gauges."""
