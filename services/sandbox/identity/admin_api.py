"""Admin API of Google's Identity Toolkit, which servers call with an access token."""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.http_helpers import create_json_response
from services.sandbox.identity.accounts import (
    Account,
    AccountRepository,
    IdentityError,
    hash_password,
    normalise_email,
    validate_claims,
)
from services.sandbox.identity.out_of_band_codes import OobCodeSender, SendOobCodeRequest
from services.sandbox.identity.schemas import IdentityRequest, Text, build_user_info, handle_identity_errors
from services.sandbox.identity.tokens import TokenIssuer

type LocalId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
type OperationHandler = Callable[[bytes], Awaitable[Response]]


class CreateAccountRequest(IdentityRequest, frozen=True):
    """Request of accounts."""

    email: Text
    password: Text | None = None
    local_id: LocalId | None = None
    display_name: Text | None = None
    email_verified: bool = False
    disabled: bool = False


class LookupRequest(IdentityRequest, frozen=True):
    """Request of accounts:lookup."""

    local_id: Annotated[tuple[LocalId, ...], msgspec.Meta(max_length=100)] = ()
    email: Annotated[tuple[Text, ...], msgspec.Meta(max_length=100)] = ()


class UpdateAccountRequest(IdentityRequest, frozen=True):
    """Request of accounts:update; absent fields stay unchanged."""

    local_id: LocalId
    email: Text | None = None
    password: Text | None = None
    display_name: Text | None = None
    email_verified: bool | None = None
    disable_user: bool | None = None
    custom_attributes: str | None = None
    valid_since: int | str | None = None
    delete_attribute: tuple[Literal["DISPLAY_NAME", "PHOTO_URL"], ...] = ()


class DeleteAccountRequest(IdentityRequest, frozen=True):
    """Request of accounts:delete."""

    local_id: LocalId


class QueryExpression(IdentityRequest, frozen=True):
    """One expression of a query."""

    email: Text | None = None
    user_id: Text | None = None


class QueryRequest(IdentityRequest, frozen=True):
    """Request of accounts:query, by e-mail address or id; without an expression, for all accounts."""

    expression: Annotated[tuple[QueryExpression, ...], msgspec.Meta(max_length=1)] = ()
    return_user_info: bool = True
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 500


class IdentityAdminApi:
    """Handlers of the admin API."""

    def __init__(
        self, accounts: AccountRepository, token_issuer: TokenIssuer, oob_codes: OobCodeSender, project: str
    ) -> None:
        self._accounts = accounts
        self._token_issuer = token_issuer
        self._oob_codes = oob_codes
        self._project = project

    def build_routes(self) -> list[Route]:
        """Return the routes below /projects/{project}."""
        base = "/identitytoolkit.googleapis.com/v1/projects/{project}/accounts"
        operations: dict[str, OperationHandler] = {
            "": self.create,
            ":lookup": self.lookup,
            ":update": self.update,
            ":delete": self.delete,
            ":query": self.query,
            ":sendOobCode": self.send_code,
        }
        return [
            *(
                Route(base + name, handle_identity_errors(self._require_admin(operation)), methods=["POST"])
                for name, operation in operations.items()
            ),
            Route(base + ":batchGet", handle_identity_errors(self.batch_get), methods=["GET"]),
        ]

    def _authorise(self, request: Request) -> None:
        if not self._token_issuer.is_admin(request.headers.get("authorization", "")):
            raise IdentityError("Request is missing required authentication credential.", 401)
        if request.path_params["project"] != self._project:
            raise IdentityError("PROJECT_NOT_FOUND")

    def _require_admin(self, operation: OperationHandler) -> Callable[[Request], Awaitable[Response]]:
        async def handle_authorised(request: Request) -> Response:
            self._authorise(request)
            return await operation(await request.body())

        return handle_authorised

    async def create(self, content: bytes) -> Response:
        """Create an account."""
        body = msgspec.json.decode(content, type=CreateAccountRequest)
        email = normalise_email(body.email)
        password = None if body.password is None else await hash_password(body.password)
        account = self._accounts.create(email, password, body.local_id)
        account = self._accounts.save(
            msgspec.structs.replace(
                account, display_name=body.display_name, email_verified=body.email_verified, disabled=body.disabled
            )
        )
        return create_json_response(
            {"kind": "identitytoolkit#SignupNewUserResponse", "localId": account.local_id, "email": account.email}
        )

    async def lookup(self, content: bytes) -> Response:
        """Return the requested accounts that exist."""
        body = msgspec.json.decode(content, type=LookupRequest)
        candidates = [*map(self._accounts.find_by_id, body.local_id), *map(self._accounts.find_by_email, body.email)]
        found = {account.local_id: account for account in candidates if account}
        response: dict[str, object] = {"kind": "identitytoolkit#GetAccountInfoResponse"}
        if found:
            response["users"] = [build_user_info(account) for account in found.values()]
        return create_json_response(response)

    async def update(self, content: bytes) -> Response:
        """Update an account; `validSince` ends the sessions that began up to that time."""
        body = msgspec.json.decode(content, type=UpdateAccountRequest)
        before = self._accounts.get(body.local_id)
        updates: dict[str, object] = {}
        if body.email is not None:
            updates["email"] = normalise_email(body.email)
            updates["email_verified"] = updates["email"] == before.email and before.email_verified
        if body.email_verified is not None:
            updates["email_verified"] = body.email_verified
        if body.display_name is not None or "DISPLAY_NAME" in body.delete_attribute:
            updates["display_name"] = body.display_name
        if body.disable_user is not None:
            updates["disabled"] = body.disable_user
        if body.custom_attributes is not None:
            updates["custom_attributes"] = validate_claims(body.custom_attributes)
        valid_since = _parse_seconds(body.valid_since)
        if body.password is not None:
            updates |= {"password": await hash_password(body.password), "password_updated_at": int(time.time() * 1000)}
        account = self._accounts.save(msgspec.structs.replace(self._accounts.get(body.local_id), **updates))
        if valid_since is not None:
            account = self._accounts.revoke_sessions(account, valid_since)
        return create_json_response({"kind": "identitytoolkit#SetAccountInfoResponse", **build_user_info(account)})

    async def delete(self, content: bytes) -> Response:
        """Delete an account."""
        self._accounts.delete(msgspec.json.decode(content, type=DeleteAccountRequest).local_id)
        return create_json_response({"kind": "identitytoolkit#DeleteAccountResponse"})

    async def query(self, content: bytes) -> Response:
        """Find accounts, by id."""
        body = msgspec.json.decode(content, type=QueryRequest)
        found: list[Account | None] = []
        for expression in body.expression:
            found = [
                self._accounts.find_by_email(expression.email)
                if expression.email
                else self._accounts.find_by_id(expression.user_id or "")
            ]
        users = (
            [account for account in found if account] if body.expression else self._accounts.list_page("", body.limit)
        )
        response: dict[str, object] = {"recordsCount": str(len(users))}
        return create_json_response(
            response | ({"userInfo": [build_user_info(account) for account in users]} if body.return_user_info else {})
        )

    async def send_code(self, content: bytes) -> Response:
        """Create an out-of-band code, and mail it or return it."""
        body = msgspec.json.decode(content, type=SendOobCodeRequest)
        return create_json_response(self._oob_codes.send(body, None, is_trusted=True))

    async def batch_get(self, request: Request) -> Response:
        """Return a page of all accounts, by id."""
        self._authorise(request)
        max_results = request.query_params.get("maxResults", "20")
        if not (max_results.isascii() and max_results.isdigit() and 1 <= int(max_results) <= 1000):
            raise IdentityError("INVALID_PAGE_SELECTION")
        size = int(max_results)
        page = self._accounts.list_page(request.query_params.get("nextPageToken", ""), size)
        response: dict[str, object] = {
            "kind": "identitytoolkit#DownloadAccountResponse",
            "users": [build_user_info(account) for account in page],
        }
        return create_json_response(response | ({"nextPageToken": page[-1].local_id} if len(page) == size else {}))


def _parse_seconds(valid_since: int | str | None) -> int | None:
    """Return `validSince` as a number: Google sends 64-bit numbers as strings, its Python library as numbers.

    Raises IdentityError INVALID_VALID_SINCE.
    """
    if valid_since is None:
        return None
    text = str(valid_since)
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise IdentityError("INVALID_VALID_SINCE")
    return int(text)
