"""Client API of Google's Identity Toolkit and Secure Token, which apps call with an API key."""

import time
from collections.abc import Awaitable, Callable

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.http_helpers import create_json_response
from services.sandbox.identity.accounts import (
    Account,
    AccountRepository,
    IdentityError,
    OobCodeKind,
    hash_password,
    is_password_correct,
    normalise_email,
)
from services.sandbox.identity.out_of_band_codes import OobCodeSender, SendOobCodeRequest
from services.sandbox.identity.schemas import (
    IdTokenRequest,
    ResetPasswordRequest,
    SignInRequest,
    SignUpRequest,
    UpdateAccountRequest,
    build_user_info,
    handle_identity_errors,
)
from services.sandbox.identity.tokens import ACCESS_TOKEN_LIFETIME_S, TokenIssuer


class IdentityClientApi:
    """Handlers of the client API."""

    def __init__(
        self, accounts: AccountRepository, token_issuer: TokenIssuer, oob_codes: OobCodeSender, project: str
    ) -> None:
        self._accounts = accounts
        self._token_issuer = token_issuer
        self._oob_codes = oob_codes
        self._project = project

    def build_routes(self) -> list[Route]:
        """Return the routes of the client API, the JSON Web Key Set and the OAuth token endpoint."""
        base = "/identitytoolkit.googleapis.com/v1/accounts:"
        operations = {
            "signUp": self.sign_up,
            "signInWithPassword": self.sign_in,
            "lookup": self.lookup,
            "update": self.update,
            "delete": self.delete,
            "sendOobCode": self.send_code,
            "resetPassword": self.reset_password,
        }
        return [
            *(
                Route(base + name, handle_identity_errors(require_api_key(handler)), methods=["POST"])
                for name, handler in operations.items()
            ),
            Route(
                "/securetoken.googleapis.com/v1/token",
                handle_identity_errors(require_api_key(self.refresh)),
                methods=["POST"],
            ),
            Route("/oauth2/token", self.exchange_assertion, methods=["POST"]),
            Route("/jwks.json", self.serve_jwks),
        ]

    async def sign_up(self, request: Request) -> Response:
        """Create an account and a session."""
        body = msgspec.json.decode(await request.body(), type=SignUpRequest)
        email, password = normalise_email(body.email), await hash_password(body.password)
        account = self._accounts.create(email, password)
        if body.display_name:
            account = self._accounts.save(msgspec.structs.replace(account, display_name=body.display_name))
        return create_json_response(
            {
                "kind": "identitytoolkit#SignupNewUserResponse",
                **self._create_session(account),
                "localId": account.local_id,
                "email": account.email,
            }
        )

    async def sign_in(self, request: Request) -> Response:
        """Create a session for an e-mail address and a password.

        The error does not reveal which of the two is wrong, as in newer Google projects.
        """
        body = msgspec.json.decode(await request.body(), type=SignInRequest)
        account = self._accounts.find_by_email(normalise_email(body.email))
        if not await is_password_correct(account, body.password) or account is None:
            raise IdentityError("INVALID_LOGIN_CREDENTIALS")
        if account.disabled:
            raise IdentityError("USER_DISABLED")
        response = {
            "kind": "identitytoolkit#VerifyPasswordResponse",
            "localId": account.local_id,
            "email": account.email,
        }
        return create_json_response(
            {**response, "displayName": account.display_name or "", "registered": True, **self._create_session(account)}
        )

    def _create_session(self, account: Account) -> dict[str, object]:
        return create_session(self._accounts, self._token_issuer, account)

    def _authenticate(self, id_token: str) -> Account:
        local_id, auth_time = self._token_issuer.verify_id_token(id_token)
        account = self._accounts.get(local_id)
        if account.disabled:
            raise IdentityError("USER_DISABLED")
        if auth_time < account.valid_since:
            raise IdentityError("TOKEN_EXPIRED")
        return account

    async def lookup(self, request: Request) -> Response:
        """Return the account of an ID token."""
        account = self._authenticate(msgspec.json.decode(await request.body(), type=IdTokenRequest).id_token)
        return create_json_response(
            {"kind": "identitytoolkit#GetAccountInfoResponse", "users": [build_user_info(account)]}
        )

    async def delete(self, request: Request) -> Response:
        """Delete the account of an ID token."""
        account = self._authenticate(msgspec.json.decode(await request.body(), type=IdTokenRequest).id_token)
        self._accounts.delete(account.local_id)
        return create_json_response({"kind": "identitytoolkit#DeleteAccountResponse"})

    async def update(self, request: Request) -> Response:
        """Update an account: apply an out-of-band code, or change password and name with an ID token.

        A new e-mail address requires a code.
        """
        body = msgspec.json.decode(await request.body(), type=UpdateAccountRequest)
        if body.oob_code:
            account = self._apply_code(body.oob_code)
        elif not body.id_token:
            raise IdentityError("MISSING_ID_TOKEN")
        else:
            account = await self._apply_update(self._authenticate(body.id_token), body)
        response = {"kind": "identitytoolkit#SetAccountInfoResponse", **build_user_info(account)}
        return create_json_response(response | (self._create_session(account) if body.return_secure_token else {}))

    def _apply_code(self, code: str) -> Account:
        oob_code = self._accounts.get_code(code)
        account = self._accounts.get(oob_code.local_id)
        if oob_code.kind is OobCodeKind.PASSWORD_RESET:
            raise IdentityError("INVALID_OOB_CODE")
        if oob_code.new_email:
            account = msgspec.structs.replace(account, email=oob_code.new_email)
        account = self._accounts.save(msgspec.structs.replace(account, email_verified=True))
        self._accounts.consume_code(code)
        return account

    async def _apply_update(self, account: Account, body: UpdateAccountRequest) -> Account:
        if body.email is not None and normalise_email(body.email) != account.email:
            raise IdentityError("OPERATION_NOT_ALLOWED : Please verify the new email before changing email.")
        if body.password is not None:
            password, changed_at = await hash_password(body.password), int(time.time() * 1000)
            account = msgspec.structs.replace(
                self._accounts.get(account.local_id), password=password, password_updated_at=changed_at
            )
        name = None if body.delete_attribute else body.display_name or account.display_name
        return self._accounts.save(msgspec.structs.replace(account, display_name=name))

    async def send_code(self, request: Request) -> Response:
        """Mail an out-of-band code to the account's address, or to its new address."""
        body = msgspec.json.decode(await request.body(), type=SendOobCodeRequest)
        if body.return_oob_link:
            raise IdentityError("INSUFFICIENT_PERMISSION", 403)
        owner = self._authenticate(body.id_token) if body.id_token else None
        return create_json_response(self._oob_codes.send(body, owner))

    async def reset_password(self, request: Request) -> Response:
        """Set a new password with an out-of-band code, which also verifies the address."""
        body = msgspec.json.decode(await request.body(), type=ResetPasswordRequest)
        code = self._accounts.get_code(body.oob_code)
        account = self._accounts.get(code.local_id)
        if body.new_password is not None:
            if code.kind is not OobCodeKind.PASSWORD_RESET:
                raise IdentityError("INVALID_OOB_CODE")
            password = await hash_password(body.new_password)
            self._accounts.consume_code(body.oob_code)
            account, now = self._accounts.get(account.local_id), int(time.time() * 1000)
            self._accounts.save(
                msgspec.structs.replace(account, password=password, email_verified=True, password_updated_at=now)
            )
        response = {"kind": "identitytoolkit#ResetPasswordResponse", "email": account.email, "requestType": code.kind}
        return create_json_response(response | ({"newEmail": code.new_email} if code.new_email else {}))

    async def refresh(self, request: Request) -> Response:
        """Return a new ID token for a valid session."""
        async with request.form(max_files=0, max_fields=10) as form:
            if _get_form_field(form, "grant_type") != "refresh_token":
                raise IdentityError("INVALID_GRANT_TYPE")
            refresh_token = _get_form_field(form, "refresh_token")
        if not refresh_token:
            raise IdentityError("MISSING_REFRESH_TOKEN")
        account, auth_time = self._accounts.get_session(refresh_token)
        token = self._token_issuer.create_id_token(account, auth_time)
        response = {"access_token": token, "id_token": token, "refresh_token": refresh_token, "token_type": "Bearer"}
        return create_json_response(
            {
                **response,
                "expires_in": str(self._token_issuer.id_token_lifetime_s),
                "user_id": account.local_id,
                "project_id": self._project,
            }
        )

    async def exchange_assertion(self, request: Request) -> Response:
        """Return an access token for a service account's assertion (RFC 7523). Its signature is not verified."""
        async with request.form(max_files=0, max_fields=10) as form:
            grant, assertion = _get_form_field(form, "grant_type"), _get_form_field(form, "assertion")
        if grant != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return create_json_response({"error": "unsupported_grant_type"}, 400)
        issuer = self._token_issuer.parse_assertion_issuer(assertion)
        if issuer is None:
            return create_json_response({"error": "invalid_grant"}, 400)
        return create_json_response(
            {
                "access_token": self._token_issuer.create_access_token(issuer),
                "expires_in": ACCESS_TOKEN_LIFETIME_S,
                "token_type": "Bearer",
            },
            headers={"cache-control": "no-store"},
        )

    async def serve_jwks(self, _: Request) -> Response:
        """Return the keys that verify ID tokens."""
        return create_json_response(self._token_issuer.build_jwks(), headers={"cache-control": "public, max-age=300"})


def _get_form_field(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def create_session(accounts: AccountRepository, token_issuer: TokenIssuer, account: Account) -> dict[str, object]:
    """Create a session and return the fields of a response with its tokens."""
    refresh_token, auth_time = accounts.create_session(account)
    return {
        "idToken": token_issuer.create_id_token(account, auth_time),
        "refreshToken": refresh_token,
        "expiresIn": str(token_issuer.id_token_lifetime_s),
    }


def require_api_key(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler: reject requests without an API key."""

    async def handle_with_api_key(request: Request) -> Response:
        if not request.query_params.get("key"):
            raise IdentityError("The request is missing a valid API key.", 403)
        return await handler(request)

    return handle_with_api_key
