"""PostgreSQL repositories and job queue of notifications."""
