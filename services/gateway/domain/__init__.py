"""Account rules, without I/O."""
