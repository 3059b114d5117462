"""The rules of notifications; no I/O."""
