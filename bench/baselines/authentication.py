"""JWT verification in Python."""

import os
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException, Request

jwks_client = jwt.PyJWKClient(os.environ["BASELINE_JWKS_URL"], cache_keys=True)
PROJECT_ID = "delivery-local"


def verify_token(request: Request, *roles: str) -> str:
    """Return the user id of the verified token of one of the roles. Raises HTTPException."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        key = jwks_client.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token, key, algorithms=["RS256"], audience=PROJECT_ID, issuer=f"https://securetoken.google.com/{PROJECT_ID}"
        )
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    if claims.get("role", "customer") not in roles:
        raise HTTPException(403)
    return str(claims["sub"])


async def authenticate(request: Request) -> str:
    """Return the user id of the verified token. A coroutine, so that FastAPI does not run it in a thread."""
    return verify_token(request, "customer", "admin", "deliverer")


async def authenticate_deliverer(request: Request) -> str:
    """Return the user id of a deliverer's verified token."""
    return verify_token(request, "deliverer")


CustomerId = Annotated[str, Depends(authenticate)]
DelivererId = Annotated[str, Depends(authenticate_deliverer)]
