"""Trace viewer: receives OTLP, stores the newest traces in memory, and implements Jaeger's query API."""
