"""Orders and their payments."""
