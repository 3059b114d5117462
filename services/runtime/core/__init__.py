"""Types used by every layer: errors, principal, pagination, clock, ids and JSON Schema."""
