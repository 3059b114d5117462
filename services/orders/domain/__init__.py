"""Domain rules of orders, without I/O: order state machine, payments and refunds, reconciliation."""
