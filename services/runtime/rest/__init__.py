"""REST server: Connexion application, request parsing and validation, routing, responses, problem details and caching.

Each operation is compiled from the OpenAPI document at startup.
"""

import warnings

# Connexion imports a test client that Starlette has deprecated. Every import of this package runs this module first.
with warnings.catch_warnings(action="ignore"):
    from connexion.exceptions import ProblemException

__all__ = ["ProblemException"]
