"""PostgreSQL repositories of the gateway."""
