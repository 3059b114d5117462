"""Tokens in Google's format: ID tokens of users and access tokens of service accounts."""

import base64
import hashlib
import time
from pathlib import Path
from typing import Annotated

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jwt.algorithms import RSAAlgorithm

from services.sandbox.http_helpers import HttpError
from services.sandbox.identity.accounts import Account, IdentityError

_ACCESS_TOKEN_ISSUER = "https://accounts.google.com"  # noqa: S105
_ACCESS_TOKEN_AUDIENCE = "https://www.googleapis.com/"  # noqa: S105
ACCESS_TOKEN_LIFETIME_S = 3600


_PROVIDER_ISSUERS = {"google.com": "https://accounts.google.com", "apple.com": "https://appleid.apple.com"}
_PROVIDER_AUDIENCE = "sandbox-app"


class ProviderClaims(msgspec.Struct, frozen=True):
    """Claims of an id token of Google or Apple."""

    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    email: Annotated[str, msgspec.Meta(max_length=254)]
    email_verified: bool = True
    given_name: str = ""
    family_name: str = ""
    nonce: str = ""
    """SHA-256 of the nonce in hexadecimal, or empty."""


class TokenIssuer:
    """Signs and verifies tokens with one RSA key."""

    def __init__(self, key_file: Path, project: str, id_token_lifetime_s: int) -> None:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise SystemExit("SANDBOX_SIGNING_KEY_FILE: not an RSA key")
        self._key = key
        self._public_key = key.public_key()
        spki = self._public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._key_id = base64.urlsafe_b64encode(hashlib.sha256(spki).digest()[:15]).decode()
        self._issuer = f"https://securetoken.google.com/{project}"
        self._project = project
        self.id_token_lifetime_s = id_token_lifetime_s

    def build_jwks(self) -> dict[str, object]:
        """Return the public key as a JSON Web Key Set (RFC 7517)."""
        key = RSAAlgorithm.to_jwk(self._public_key, as_dict=True)
        return {
            "keys": [
                {"kty": key["kty"], "n": key["n"], "e": key["e"], "use": "sig", "alg": "RS256", "kid": self._key_id}
            ]
        }

    def create_id_token(self, account: Account, auth_time: int) -> str:
        """Return an ID token with the account's current claims. `auth_time` is in seconds since 1970."""
        now = int(time.time())
        claims: dict[str, object] = msgspec.json.decode(account.custom_attributes, type=dict[str, object])
        claims |= {
            "iss": self._issuer,
            "aud": self._project,
            "sub": account.local_id,
            "user_id": account.local_id,
            "auth_time": auth_time,
            "iat": now,
            "exp": now + self.id_token_lifetime_s,
            "email": account.email,
            "email_verified": account.email_verified,
            "firebase": {"identities": {"email": [account.email]}, "sign_in_provider": "password"},
        }
        if account.display_name:
            claims["name"] = account.display_name
        return self._sign(claims)

    def verify_id_token(self, token: str) -> tuple[str, int]:
        """Return the account's id and auth_time. Raises IdentityError TOKEN_EXPIRED, INVALID_ID_TOKEN."""
        try:
            claims = jwt.decode(
                token,
                self._public_key,
                ["RS256"],
                audience=self._project,
                issuer=self._issuer,
                options={"require": ["exp", "sub", "auth_time"]},
            )
        except jwt.ExpiredSignatureError:
            raise IdentityError("TOKEN_EXPIRED") from None
        except jwt.InvalidTokenError:
            raise IdentityError("INVALID_ID_TOKEN") from None
        return str(claims["sub"]), int(claims["auth_time"])

    def create_provider_token(self, provider: str, claims: ProviderClaims) -> str:
        """Return an id token of a provider. Raises HttpError 404 for an unknown provider."""
        if provider not in _PROVIDER_ISSUERS:
            raise HttpError(404, "unknown provider")
        now = int(time.time())
        times = {"iat": now, "exp": now + ACCESS_TOKEN_LIFETIME_S}
        return self._sign(
            {"iss": _PROVIDER_ISSUERS[provider], "aud": _PROVIDER_AUDIENCE} | times | msgspec.structs.asdict(claims)
        )

    def verify_provider_token(self, provider: str, token: str, nonce: str) -> ProviderClaims:
        """Return the claims of an id token. Raises IdentityError INVALID_IDP_RESPONSE, MISSING_OR_INVALID_NONCE."""
        if provider not in _PROVIDER_ISSUERS:
            raise IdentityError("INVALID_PROVIDER_ID")
        try:
            payload = jwt.decode(
                token,
                self._public_key,
                ["RS256"],
                audience=_PROVIDER_AUDIENCE,
                issuer=_PROVIDER_ISSUERS[provider],
                options={"require": ["exp"]},
            )
        except jwt.InvalidTokenError as error:
            raise IdentityError(f"INVALID_IDP_RESPONSE : {error}") from None
        claims = msgspec.convert(payload, ProviderClaims)
        if claims.nonce and claims.nonce != hashlib.sha256(nonce.encode()).hexdigest():
            raise IdentityError("MISSING_OR_INVALID_NONCE : The nonce does not match.")
        return claims

    def create_access_token(self, service_account: str) -> str:
        """Return an access token for the admin APIs."""
        now = int(time.time())
        return self._sign(
            {
                "iss": _ACCESS_TOKEN_ISSUER,
                "aud": _ACCESS_TOKEN_AUDIENCE,
                "sub": service_account,
                "iat": now,
                "exp": now + ACCESS_TOKEN_LIFETIME_S,
            }
        )

    def parse_assertion_issuer(self, assertion: str) -> str | None:
        """Return the issuer of an assertion, or None if it is invalid.

        The signature is not verified, because the sandbox does not know the key.
        """
        try:
            claims = jwt.decode(
                assertion, options={"verify_signature": False, "verify_exp": True, "require": ["iss", "exp", "aud"]}
            )
        except jwt.InvalidTokenError:
            return None
        return str(claims["iss"])

    def is_admin(self, authorization: str) -> bool:
        """Return whether the header contains a valid access token, or `owner`, which Google's emulators accept."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        if token == "owner":  # noqa: S105  # constant of Google's emulators
            return True
        try:
            jwt.decode(
                token,
                self._public_key,
                ["RS256"],
                audience=_ACCESS_TOKEN_AUDIENCE,
                issuer=_ACCESS_TOKEN_ISSUER,
                options={"require": ["exp"]},
            )
        except jwt.InvalidTokenError:
            return False
        return True

    def _sign(self, claims: dict[str, object]) -> str:
        return jwt.encode(claims, self._key, "RS256", {"kid": self._key_id})
