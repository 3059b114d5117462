"""Outbound adapters of the gateway: PostgreSQL, Memcached, Firebase and object storage."""
