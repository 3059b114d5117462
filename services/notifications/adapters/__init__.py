"""Outbound adapters of notifications: PostgreSQL, MongoDB, provider clients, agent cache and listener, templates."""
