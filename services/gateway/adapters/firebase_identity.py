"""Firebase Authentication: firebase-admin for administration, the Identity Toolkit's REST for the rest.

The SDK blocks, so it runs in threads. Where FIREBASE_AUTH_EMULATOR_HOST is set it speaks to that host; no token is ever
verified here (the sidecar does), so the variable decides about nobody.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import firebase_admin
import httpx
import msgspec
import requests
from firebase_admin import auth, credentials, exceptions
from google.auth.exceptions import GoogleAuthError

from generated.problems import Reason
from services.gateway.usecases.ports import SessionTokens
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

EMULATOR_HOST_VARIABLE = "FIREBASE_AUTH_EMULATOR_HOST"
"""Where this variable points, the SDK sends what it would send Google."""

HTTP_TIMEOUT_S = 4.0
"""Seconds the provider may take for one call."""

TOTAL_TIMEOUT_S = 6.0
"""Seconds that anybody waits for the SDK, which tries again by itself."""

PEER_SERVICE = "identity"
"""What its spans call it."""

MAX_THREADS = 16
"""How many calls of the SDK may be under way; more of them wait, within PATIENCE."""

_INVALID_CREDENTIALS_CODES = frozenset(
    {"EMAIL_NOT_FOUND", "INVALID_PASSWORD", "INVALID_LOGIN_CREDENTIALS", "USER_DISABLED", "INVALID_EMAIL"}
)
_INVALID_TOKEN_CODES = frozenset(
    {"TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN", "USER_NOT_FOUND", "USER_DISABLED", "INVALID_GRANT_TYPE"}
)


class _SignInResponse(msgspec.Struct, rename="camel"):
    id_token: str
    refresh_token: str
    expires_in: str
    local_id: str


class _RefreshResponse(msgspec.Struct):
    id_token: str
    refresh_token: str
    expires_in: str
    user_id: str


class _ErrorDetail(msgspec.Struct):
    message: str


class _ErrorResponse(msgspec.Struct):
    error: _ErrorDetail


class FirebaseIdentityProvider:
    """`url` is the base below which the sandbox has Google's host names as paths; empty for Google itself."""

    def __init__(
        self, project_id: str, api_key: str, emulator_url: str, service_account: str, client: httpx.AsyncClient
    ) -> None:
        self._app = firebase_admin.initialize_app(
            credentials.Certificate(service_account),
            {"projectId": project_id, "httpTimeout": HTTP_TIMEOUT_S},
            name="identity",
        )
        base = emulator_url or "https:/"
        self._identity_toolkit_url = f"{base}/identitytoolkit.googleapis.com/v1"
        self._secure_token_url = f"{base}/securetoken.googleapis.com/v1"
        self._api_key_params = {"key": api_key}
        self._client = client
        self._executor = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="identity")

    def close(self) -> None:
        """Lets go of the SDK; what is under way is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        firebase_admin.delete_app(self._app)

    async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
        """Makes an account. Refuses EMAIL_TAKEN and ACCOUNT_REFUSED."""

        def make() -> None:
            try:
                auth.create_user(uid=user_id, email=email, password=password, app=self._app)
            except (auth.EmailAlreadyExistsError, auth.UidAlreadyExistsError):
                # The SDK tries again when an answer is lost, and then meets the account that it has just made.
                if not self._user_exists(user_id):
                    raise
            if role is not None:
                auth.set_custom_user_claims(user_id, {"role": role}, app=self._app)

        try:
            await self._call_admin("create", make)
        except auth.EmailAlreadyExistsError as error:
            raise ApiError(Reason.EMAIL_TAKEN) from error

    def _user_exists(self, user_id: str) -> bool:
        try:
            auth.get_user(user_id, app=self._app)
        except auth.UserNotFoundError:
            return False
        return True

    async def exists(self, user_id: str) -> bool:
        """Whether there is such an account."""
        return await self._call_admin("get", lambda: self._user_exists(user_id))

    async def delete(self, user_id: str) -> None:
        """Removes an account; one that is not there is no error."""
        try:
            await self._call_admin("delete", lambda: auth.delete_user(user_id, app=self._app))
        except auth.UserNotFoundError:
            return

    async def mark_email_verified(self, user_id: str) -> None:
        """The e-mail address is the user's."""
        await self._update_user(user_id, email_verified=True)

    async def change_email(self, user_id: str, email: str) -> None:
        """Another address, which is the user's. Refuses EMAIL_TAKEN."""
        try:
            await self._update_user(user_id, email=email, email_verified=True)
        except auth.EmailAlreadyExistsError as error:
            raise ApiError(Reason.EMAIL_TAKEN) from error

    async def set_password(self, user_id: str, password: str) -> None:
        """Another password; every session ends."""
        await self._update_user(user_id, password=password)
        await self.revoke_refresh_tokens(user_id)

    async def set_role(self, user_id: str, role: str) -> None:
        """Takes effect with the next refresh."""
        await self._call_admin_for_user(
            "set role", lambda: auth.set_custom_user_claims(user_id, {"role": role}, app=self._app)
        )

    async def revoke_refresh_tokens(self, user_id: str) -> None:
        """Refresh tokens given so far are worth nothing any more."""
        await self._call_admin_for_user("revoke", lambda: auth.revoke_refresh_tokens(user_id, app=self._app))

    async def _update_user(self, user_id: str, **changes: Any) -> None:
        await self._call_admin_for_user("update", lambda: auth.update_user(user_id, app=self._app, **changes))

    async def _call_admin_for_user[T](self, operation: str, call: Callable[[], T]) -> T:
        """As `_admin`. Refuses USER_NOT_FOUND for an account that the provider has no more."""
        try:
            return await self._call_admin(operation, call)
        except auth.UserNotFoundError as error:
            raise ApiError(Reason.USER_NOT_FOUND) from error

    async def _call_admin[T](self, operation: str, call: Callable[[], T]) -> T:
        """In a thread, since the SDK blocks; what takes too long goes on there, unheard."""
        loop = asyncio.get_running_loop()
        try:
            with tracing.start_peer_span(PEER_SERVICE, operation):
                return await asyncio.wait_for(loop.run_in_executor(self._executor, call), TOTAL_TIMEOUT_S)
        except (auth.EmailAlreadyExistsError, auth.UserNotFoundError):
            raise
        except exceptions.InvalidArgumentError as error:
            raise ApiError(Reason.ACCOUNT_REFUSED) from error
        # Nonsense from the provider arrives as whatever the SDK stumbles over.
        except (
            exceptions.FirebaseError,
            GoogleAuthError,
            requests.RequestException,
            KeyError,
            TypeError,
            TimeoutError,
        ) as error:
            log.warning("the identity provider cannot be used: %r", error)
            raise _unavailable() from error

    async def sign_in(self, email: str, password: str) -> SessionTokens:
        """Refuses CREDENTIALS_INVALID, the same for an unknown address and a wrong password."""
        answer = await self._post(
            "sign in",
            f"{self._identity_toolkit_url}/accounts:signInWithPassword",
            json={"email": email, "password": password, "returnSecureToken": True},
        )
        session = _decode_response(answer, _SignInResponse, _INVALID_CREDENTIALS_CODES, Reason.CREDENTIALS_INVALID)
        return SessionTokens(session.id_token, session.refresh_token, int(session.expires_in), session.local_id)

    async def refresh_session(self, refresh_token: str) -> SessionTokens:
        """Refuses REFRESH_TOKEN_INVALID."""
        answer = await self._post(
            "refresh",
            f"{self._secure_token_url}/token",
            data={"grant_type": "refresh_token", "refresh_token": refresh_token},
        )
        session = _decode_response(answer, _RefreshResponse, _INVALID_TOKEN_CODES, Reason.REFRESH_TOKEN_INVALID)
        return SessionTokens(session.id_token, session.refresh_token, int(session.expires_in), session.user_id)

    async def _post(self, operation: str, url: str, **body: Any) -> httpx.Response:
        about = {"http.request.method": "POST", "server.address": urlsplit(url).hostname or ""}
        try:
            with tracing.start_peer_span(PEER_SERVICE, operation, about) as span:
                answer = await self._client.post(url, params=self._api_key_params, timeout=HTTP_TIMEOUT_S, **body)
                tracing.record_http_response(span, answer.status_code)
                return answer
        except httpx.HTTPError as error:
            raise _unavailable() from error


def _decode_response[T](
    response: httpx.Response, response_type: type[T], expected_codes: frozenset[str], reason: Reason
) -> T:
    """The answer, or the refusal that its error code means. Anything else is the provider's fault."""
    try:
        if response.is_success:
            return msgspec.json.decode(response.content, type=response_type)
        code = msgspec.json.decode(response.content, type=_ErrorResponse).error.message.split(" ")[0]
    except msgspec.MsgspecError as error:
        raise _unavailable() from error
    if code in expected_codes:
        headers = {"WWW-Authenticate": "Bearer"}
        raise ApiError(reason, headers=headers)
    raise _unavailable()


def _unavailable() -> ApiError:
    return ApiError(Reason.UPSTREAM_UNAVAILABLE, "The identity provider is away.", retry_after=2)
