"""Settings, and the checks that production settings must pass."""
