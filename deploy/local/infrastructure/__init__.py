"""Processes that the local runner starts: servers, sidecars, services and the trace viewer."""
