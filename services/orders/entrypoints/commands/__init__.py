"""Command-line commands of orders: reconcile and demo data."""
