"""PostgreSQL adapters of orders: tables and repositories."""
