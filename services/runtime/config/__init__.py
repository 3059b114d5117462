"""Settings from the environment, and the checks that production settings have to pass."""
