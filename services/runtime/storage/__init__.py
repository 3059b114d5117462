"""Access to PostgreSQL, MongoDB and object storage; idempotency keys, migrations and encryption."""
