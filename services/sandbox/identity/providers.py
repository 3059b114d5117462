"""Emulated Google and Apple: id tokens, and the sign-in with them at the Identity Toolkit."""

from typing import Annotated, Literal
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.http_helpers import create_json_response, read_json_body
from services.sandbox.identity.accounts import Account, AccountRepository, IdentityError, normalise_email
from services.sandbox.identity.client_api import create_session, require_api_key
from services.sandbox.identity.schemas import IdentityRequest, Text, handle_identity_errors
from services.sandbox.identity.tokens import ProviderClaims, TokenIssuer
from services.sandbox.store import SqliteDatabase

type PostBody = Annotated[str, msgspec.Meta(max_length=16384)]


class ProviderSignInRequest(IdentityRequest, frozen=True):
    """Request of accounts:signInWithIdp. The post body is a form with `id_token`, `providerId` and `nonce`."""

    post_body: PostBody
    request_uri: Text
    return_secure_token: Literal[True]


class IdentityProviders:
    """Issues id tokens of any user, and signs in with them."""

    def __init__(self, database: SqliteDatabase, accounts: AccountRepository, token_issuer: TokenIssuer) -> None:
        self._database = database
        self._accounts = accounts
        self._token_issuer = token_issuer

    def build_routes(self) -> list[Route]:
        """Return the routes of the providers and of the sign-in."""
        sign_in = handle_identity_errors(require_api_key(self.sign_in))
        return [
            Route("/providers/{provider}/tokens", self.issue_token, methods=["POST"]),
            Route("/identitytoolkit.googleapis.com/v1/accounts:signInWithIdp", sign_in, methods=["POST"]),
        ]

    async def issue_token(self, request: Request) -> Response:
        """Return an id token of `google.com` or `apple.com` with the given claims, as the SDK of the provider does."""
        claims = await read_json_body(request, ProviderClaims)
        token = self._token_issuer.create_provider_token(request.path_params["provider"], claims)
        return create_json_response({"id_token": token}, headers={"cache-control": "no-store"})

    async def sign_in(self, request: Request) -> Response:
        """Create a session for an id token, and the account at the first sign-in."""
        body = msgspec.json.decode(await request.body(), type=ProviderSignInRequest)
        form = {name: values[0] for name, values in parse_qs(body.post_body).items()}
        provider = form.get("providerId", "")
        claims = self._token_issuer.verify_provider_token(provider, form.get("id_token", ""), form.get("nonce", ""))
        account = self._find_account(provider, claims.sub)
        is_new = account is None and self._accounts.find_by_email(claims.email) is None
        if account is None:
            account = self._find_or_create_account(claims)
            if account is None:
                return create_json_response({"email": claims.email, "needConfirmation": True})
            self._database.execute(
                "INSERT OR REPLACE INTO provider_identities VALUES (?, ?, ?)", provider, claims.sub, account.local_id
            )
        if account.disabled:
            raise IdentityError("USER_DISABLED")
        response: dict[str, object] = {
            "kind": "identitytoolkit#VerifyAssertionResponse",
            "providerId": provider,
            "localId": account.local_id,
            "email": account.email,
            "emailVerified": account.email_verified,
            "firstName": claims.given_name,
            "lastName": claims.family_name,
            "isNewUser": is_new,
        }
        return create_json_response(response | create_session(self._accounts, self._token_issuer, account))

    def _find_account(self, provider: str, subject: str) -> Account | None:
        """Return the account with an identity at the provider, or None, also after its deletion."""
        row = self._database.fetch_one(
            "SELECT local_id FROM provider_identities WHERE provider = ? AND subject = ?", provider, subject
        )
        return None if row is None else self._accounts.find_by_id(row["local_id"])

    def _find_or_create_account(self, claims: ProviderClaims) -> Account | None:
        """Return the account with the address, or None if the provider has not verified the address of an account.

        The verified address removes the password of an account whose address was not verified, as at Google.
        """
        account = self._accounts.find_by_email(claims.email)
        if account is None:
            account = self._accounts.create(normalise_email(claims.email), None)
        elif not claims.email_verified:
            return None
        if not claims.email_verified or account.email_verified:
            return account
        return self._accounts.save(msgspec.structs.replace(account, email_verified=True, password=None))
