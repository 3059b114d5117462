"""REST by Connexion around a compiled app: what the contract says of an operation is worked out once, at start."""

import warnings

# Connexion imports a test client that Starlette wants replaced; whoever imports any of this package passes here first.
with warnings.catch_warnings(action="ignore"):
    from connexion.exceptions import ProblemException

__all__ = ["ProblemException"]
