"""Logging, tracing and metrics, with OpenTelemetry."""
