"""PostgreSQL tables, repositories and job queue of notifications."""
