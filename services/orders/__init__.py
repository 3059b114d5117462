"""Orders service: orders, payments, refunds and banks."""
