"""Outbound adapters of the gateway: PostgreSQL, Memcached, Firebase, object storage and the partners service."""
