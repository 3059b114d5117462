"""Google's Identity Toolkit and Secure Token, as an app with an API key uses them: accounts, sessions, codes."""

import time
from collections.abc import Awaitable, Callable

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.accounts import (
    Account,
    Accounts,
    CodeKind,
    IdentityError,
    hash_password,
    normal_email,
    password_matches,
)
from services.sandbox.identity_wire import (
    IdToken,
    ResetPassword,
    SignIn,
    SignUp,
    Update,
    google_errors,
    user_info,
)
from services.sandbox.oob import Codes, SendCode
from services.sandbox.tokens import ACCESS_SECONDS, Tokens
from services.sandbox.web import json_response


class Identity:
    """The app's side."""

    def __init__(self, accounts: Accounts, tokens: Tokens, codes: Codes, project: str) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._codes = codes
        self._project = project

    def routes(self) -> list[Route]:
        """Everything that takes an API key, the key set and the door for service accounts."""
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
                Route(base + name, google_errors(_with_key(handler)), methods=["POST"])
                for name, handler in operations.items()
            ),
            Route("/securetoken.googleapis.com/v1/token", google_errors(_with_key(self.refresh)), methods=["POST"]),
            Route("/oauth2/token", self.access_token, methods=["POST"]),
            Route("/jwks.json", self.jwks),
        ]

    async def sign_up(self, request: Request) -> Response:
        """Makes an account and a session."""
        body = msgspec.json.decode(await request.body(), type=SignUp)
        email, password = normal_email(body.email), await hash_password(body.password)
        account = self._accounts.create(email, password)
        if body.display_name:
            account = self._accounts.save(msgspec.structs.replace(account, display_name=body.display_name))
        return json_response(
            {
                "kind": "identitytoolkit#SignupNewUserResponse",
                **self._session(account),
                "localId": account.local_id,
                "email": account.email,
            }
        )

    async def sign_in(self, request: Request) -> Response:
        """A session for a password. Which of the two is wrong is not told, as in Google's newer projects."""
        body = msgspec.json.decode(await request.body(), type=SignIn)
        account = self._accounts.by_email(normal_email(body.email))
        if not await password_matches(account, body.password) or account is None:
            raise IdentityError("INVALID_LOGIN_CREDENTIALS")
        if account.disabled:
            raise IdentityError("USER_DISABLED")
        answer = {"kind": "identitytoolkit#VerifyPasswordResponse", "localId": account.local_id, "email": account.email}
        return json_response(
            {**answer, "displayName": account.display_name or "", "registered": True, **self._session(account)}
        )

    def _session(self, account: Account) -> dict[str, object]:
        refresh_token, auth_time = self._accounts.new_session(account)
        id_token = self._tokens.id_token(account, auth_time)
        return {"idToken": id_token, "refreshToken": refresh_token, "expiresIn": str(self._tokens.id_token_seconds)}

    def _bearer(self, id_token: str) -> Account:
        local_id, auth_time = self._tokens.read_id_token(id_token)
        account = self._accounts.get(local_id)
        if account.disabled:
            raise IdentityError("USER_DISABLED")
        if auth_time < account.valid_since:
            raise IdentityError("TOKEN_EXPIRED")
        return account

    async def lookup(self, request: Request) -> Response:
        """Who the token is about."""
        account = self._bearer(msgspec.json.decode(await request.body(), type=IdToken).id_token)
        return json_response({"kind": "identitytoolkit#GetAccountInfoResponse", "users": [user_info(account)]})

    async def delete(self, request: Request) -> Response:
        """The account deletes itself."""
        account = self._bearer(msgspec.json.decode(await request.body(), type=IdToken).id_token)
        self._accounts.delete(account.local_id)
        return json_response({"kind": "identitytoolkit#DeleteAccountResponse"})

    async def update(self, request: Request) -> Response:
        """By a code: what the code is for. By a token: password and name; another e-mail address needs a code."""
        body = msgspec.json.decode(await request.body(), type=Update)
        if body.oob_code:
            account = self._apply_code(body.oob_code)
        elif not body.id_token:
            raise IdentityError("MISSING_ID_TOKEN")
        else:
            account = await self._apply(self._bearer(body.id_token), body)
        answer = {"kind": "identitytoolkit#SetAccountInfoResponse", **user_info(account)}
        return json_response(answer | (self._session(account) if body.return_secure_token else {}))

    def _apply_code(self, code: str) -> Account:
        found = self._accounts.code(code)
        account = self._accounts.get(found.local_id)
        if found.kind is CodeKind.PASSWORD_RESET:
            raise IdentityError("INVALID_OOB_CODE")
        if found.new_email:
            account = msgspec.structs.replace(account, email=found.new_email)
        account = self._accounts.save(msgspec.structs.replace(account, email_verified=True))
        self._accounts.use_code(code)
        return account

    async def _apply(self, account: Account, body: Update) -> Account:
        if body.email is not None and normal_email(body.email) != account.email:
            raise IdentityError("OPERATION_NOT_ALLOWED : Please verify the new email before changing email.")
        if body.password is not None:
            password, changed_at = await hash_password(body.password), int(time.time() * 1000)
            account = msgspec.structs.replace(
                self._accounts.get(account.local_id), password=password, password_updated_at=changed_at
            )
        name = None if body.delete_attribute else body.display_name or account.display_name
        return self._accounts.save(msgspec.structs.replace(account, display_name=name))

    async def send_code(self, request: Request) -> Response:
        """Mails a code to the account's address, or to the one it is to have."""
        body = msgspec.json.decode(await request.body(), type=SendCode)
        if body.return_oob_link:
            raise IdentityError("INSUFFICIENT_PERMISSION", 403)
        owner = self._bearer(body.id_token) if body.id_token else None
        return json_response(self._codes.send(body, owner))

    async def reset_password(self, request: Request) -> Response:
        """A new password for a mailed code, which proves the address too."""
        body = msgspec.json.decode(await request.body(), type=ResetPassword)
        code = self._accounts.code(body.oob_code)
        account = self._accounts.get(code.local_id)
        if body.new_password is not None:
            if code.kind is not CodeKind.PASSWORD_RESET:
                raise IdentityError("INVALID_OOB_CODE")
            password = await hash_password(body.new_password)
            self._accounts.use_code(body.oob_code)
            account, now = self._accounts.get(account.local_id), int(time.time() * 1000)
            self._accounts.save(
                msgspec.structs.replace(account, password=password, email_verified=True, password_updated_at=now)
            )
        answer = {"kind": "identitytoolkit#ResetPasswordResponse", "email": account.email, "requestType": code.kind}
        return json_response(answer | ({"newEmail": code.new_email} if code.new_email else {}))

    async def refresh(self, request: Request) -> Response:
        """A fresh ID token for a session that was not ended."""
        async with request.form(max_files=0, max_fields=10) as form:
            if _field(form, "grant_type") != "refresh_token":
                raise IdentityError("INVALID_GRANT_TYPE")
            refresh_token = _field(form, "refresh_token")
        if not refresh_token:
            raise IdentityError("MISSING_REFRESH_TOKEN")
        account, auth_time = self._accounts.session(refresh_token)
        token = self._tokens.id_token(account, auth_time)
        answer = {"access_token": token, "id_token": token, "refresh_token": refresh_token, "token_type": "Bearer"}
        return json_response(
            {
                **answer,
                "expires_in": str(self._tokens.id_token_seconds),
                "user_id": account.local_id,
                "project_id": self._project,
            }
        )

    async def access_token(self, request: Request) -> Response:
        """OAuth for service accounts (RFC 7523). Their keys are self-made: the signature is not checked."""
        async with request.form(max_files=0, max_fields=10) as form:
            grant, assertion = _field(form, "grant_type"), _field(form, "assertion")
        if grant != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return json_response({"error": "unsupported_grant_type"}, 400)
        issuer = self._tokens.assertion_issuer(assertion)
        if issuer is None:
            return json_response({"error": "invalid_grant"}, 400)
        return json_response(
            {"access_token": self._tokens.access_token(issuer), "expires_in": ACCESS_SECONDS, "token_type": "Bearer"},
            headers={"cache-control": "no-store"},
        )

    async def jwks(self, _: Request) -> Response:
        """The keys that ID tokens are verified with."""
        return json_response(self._tokens.jwks(), headers={"cache-control": "public, max-age=300"})


def _field(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _with_key(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def checked(request: Request) -> Response:
        if not request.query_params.get("key"):
            raise IdentityError("The request is missing a valid API key.", 403)
        return await handler(request)

    return checked
