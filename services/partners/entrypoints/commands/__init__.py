"""Command-line commands of partners."""
