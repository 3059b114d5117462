"""PostgreSQL repositories of partners."""
