"""PostgreSQL repositories of orders."""
