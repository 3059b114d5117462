"""Inbound entry points of the gateway: REST handlers and commands."""
