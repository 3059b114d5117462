"""Outbound adapters of orders: PostgreSQL, MongoDB, payment systems, change notifications and metrics."""
