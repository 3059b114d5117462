"""PostgreSQL, MongoDB and object storage; idempotency keys, migrations and encryption."""
