"""Domain model of notifications without I/O: notifications, agents and the delivery state machine."""
