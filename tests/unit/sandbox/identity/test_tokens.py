"""ID tokens, access tokens and the key set of the identity provider."""

import time
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.sandbox.identity.accounts import Account, IdentityError
from services.sandbox.identity.tokens import ACCESS_TOKEN_LIFETIME_S, TokenIssuer

ACCOUNT = Account(
    local_id="u1", email="ada@delivery.test", valid_since=0, created_at=0, custom_attributes='{"role": "admin"}'
)
ISSUER = "https://securetoken.google.com/delivery-local"


def decode(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def sign(issuer: TokenIssuer, **changes: Any) -> str:
    """Return an ID token with changed claims; None removes a claim."""
    claims = decode(issuer.create_id_token(ACCOUNT, 1)) | changes
    return issuer._sign({name: value for name, value in claims.items() if value is not None})


def test_id_token_has_claims_of_google_and_of_the_account(token_issuer: TokenIssuer) -> None:
    claims = decode(token_issuer.create_id_token(ACCOUNT, 1_700_000_000))
    assert claims["exp"] - claims["iat"] == token_issuer.id_token_lifetime_s
    assert abs(claims["iat"] - time.time()) < 60
    assert {name: value for name, value in claims.items() if name not in ("exp", "iat")} == {
        "iss": ISSUER,
        "aud": "delivery-local",
        "sub": "u1",
        "user_id": "u1",
        "auth_time": 1_700_000_000,
        "email": "ada@delivery.test",
        "email_verified": False,
        "role": "admin",
        "firebase": {"identities": {"email": ["ada@delivery.test"]}, "sign_in_provider": "password"},
    }


def test_custom_claims_do_not_replace_standard_ones(token_issuer: TokenIssuer) -> None:
    account = msgspec.structs.replace(ACCOUNT, custom_attributes='{"sub": "root", "email": "x"}')
    claims = decode(token_issuer.create_id_token(account, 1))
    assert (claims["sub"], claims["email"]) == ("u1", "ada@delivery.test")


@pytest.mark.parametrize(("name", "claim"), [("Ada", "Ada"), (None, None), ("", None)])
def test_name_is_a_claim_only_if_present(token_issuer: TokenIssuer, name: str | None, claim: str | None) -> None:
    account = msgspec.structs.replace(ACCOUNT, display_name=name)
    assert decode(token_issuer.create_id_token(account, 1)).get("name") == claim


def test_id_token_is_verified(token_issuer: TokenIssuer) -> None:
    assert token_issuer.verify_id_token(token_issuer.create_id_token(ACCOUNT, 7)) == ("u1", 7)


@pytest.mark.parametrize(
    "changes",
    [{"aud": "other"}, {"iss": "https://other"}, {"sub": None}, {"auth_time": None}, {"exp": None}],
    ids=str,
)
def test_token_with_other_claims_is_invalid(token_issuer: TokenIssuer, changes: dict[str, Any]) -> None:
    with pytest.raises(IdentityError, match="INVALID_ID_TOKEN"):
        token_issuer.verify_id_token(sign(token_issuer, **changes))


def test_expired_token_is_reported_as_such(token_issuer: TokenIssuer) -> None:
    with pytest.raises(IdentityError, match="TOKEN_EXPIRED"):
        token_issuer.verify_id_token(sign(token_issuer, exp=int(time.time()) - 60))


def test_token_with_other_algorithm_or_signature_is_invalid(token_issuer: TokenIssuer) -> None:
    claims = decode(token_issuer.create_id_token(ACCOUNT, 1))
    key = ec.generate_private_key(ec.SECP256R1())
    for token in (
        jwt.encode(claims, None, "none"),
        jwt.encode(claims, "secret" * 8, "HS256"),
        jwt.encode(claims, key, "ES256"),
        token_issuer.create_id_token(ACCOUNT, 1)[:-4] + "AAAA",
        "",
    ):
        with pytest.raises(IdentityError, match="INVALID_ID_TOKEN"):
            token_issuer.verify_id_token(token)


def test_access_token_grants_admin_access(token_issuer: TokenIssuer) -> None:
    token = token_issuer.create_access_token("gateway@delivery.test")
    claims = decode(token)
    assert claims["exp"] - claims["iat"] == ACCESS_TOKEN_LIFETIME_S
    assert token_issuer.is_admin(f"Bearer {token}")
    assert token_issuer.is_admin(f"bearer {token}")
    assert token_issuer.is_admin("Bearer owner")


def test_other_authorization_grants_no_admin_access(token_issuer: TokenIssuer) -> None:
    id_token = token_issuer.create_id_token(ACCOUNT, 1)
    access_token = token_issuer.create_access_token("gateway@delivery.test")
    expired = token_issuer._sign(decode(access_token) | {"exp": 1})
    endless = token_issuer._sign({name: value for name, value in decode(access_token).items() if name != "exp"})
    for authorization in (
        "",
        "owner",
        "Basic owner",
        access_token,
        *map("Bearer {}".format, (id_token, expired, endless)),
    ):
        assert not token_issuer.is_admin(authorization)


def test_access_token_is_no_id_token(token_issuer: TokenIssuer) -> None:
    with pytest.raises(IdentityError, match="INVALID_ID_TOKEN"):
        token_issuer.verify_id_token(token_issuer.create_access_token("gateway@delivery.test"))


def test_key_set_verifies_tokens(token_issuer: TokenIssuer) -> None:
    token = token_issuer.create_id_token(ACCOUNT, 1)
    key_set = jwt.PyJWKSet.from_dict(token_issuer.build_jwks())
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, ["RS256"], audience="delivery-local", issuer=ISSUER)["sub"] == "u1"


def test_key_set_has_no_private_part(token_issuer: TokenIssuer) -> None:
    keys: Any = token_issuer.build_jwks()["keys"]
    assert [key.keys() for key in keys] == [{"kty", "n", "e", "use", "alg", "kid"}]


def test_key_id_depends_on_the_key_only(signing_key_file: Path, token_issuer: TokenIssuer) -> None:
    assert TokenIssuer(signing_key_file, "other-project", 60).build_jwks() == token_issuer.build_jwks()


@pytest.mark.parametrize(
    ("changes", "issuer"),
    [
        ({}, "gateway@delivery.test"),
        ({"exp": 1}, None),
        ({"iss": None}, None),
        ({"aud": None}, None),
        ({"exp": None}, None),
    ],
    ids=str,
)
def test_issuer_of_assertion_is_returned_if_valid(
    token_issuer: TokenIssuer, changes: dict[str, Any], issuer: str | None
) -> None:
    claims = {"iss": "gateway@delivery.test", "aud": "token", "exp": int(time.time()) + 60} | changes
    assertion = jwt.encode({name: each for name, each in claims.items() if each is not None}, "key" * 20, "HS256")
    assert token_issuer.parse_assertion_issuer(assertion) == issuer


def test_malformed_assertion_has_no_issuer(token_issuer: TokenIssuer) -> None:
    assert token_issuer.parse_assertion_issuer("nonsense") is None


def test_other_kind_of_key_is_rejected_at_startup(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SystemExit, match="not an RSA key"):
        TokenIssuer(path, "delivery-local", 60)
