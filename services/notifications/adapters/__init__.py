"""Outbound adapters of notifications: PostgreSQL, MongoDB, providers and templates."""
