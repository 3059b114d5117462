"""Certificate authority, secrets, and certificates of external callers of the local mesh."""
