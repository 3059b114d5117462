"""Local certificates, secrets and credentials of external callers."""
