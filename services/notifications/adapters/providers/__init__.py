"""Clients of push and mail providers with their registry, circuit breakers, metrics and tracing."""
