"""Types that every layer uses: errors, principal, pagination, clock, ids and JSON Schema."""
