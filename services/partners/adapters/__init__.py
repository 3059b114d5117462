"""Outbound adapters of partners: PostgreSQL and partner systems."""
