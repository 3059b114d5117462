"""REST by Connexion around a compiled app: what the contract says of an operation is worked out once, at start."""
