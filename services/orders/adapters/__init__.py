"""Outbound adapters of orders: PostgreSQL, MongoDB, payment systems and change notifications."""
