"""Order, payment and reconciliation rules, without I/O."""
