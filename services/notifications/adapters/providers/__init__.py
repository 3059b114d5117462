"""Who carries what we say, one module each."""
