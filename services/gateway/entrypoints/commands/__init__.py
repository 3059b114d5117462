"""Commands of the gateway: demo data and promotion to admin."""
