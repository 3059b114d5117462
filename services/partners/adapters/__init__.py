"""Outbound adapters of partners: PostgreSQL, partner systems and metrics."""
