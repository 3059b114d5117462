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
from services.gateway.usecases.ports import Tokens
from services.runtime import tracing
from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)

EMULATOR = "FIREBASE_AUTH_EMULATOR_HOST"
"""Where this variable points, the SDK sends what it would send Google."""

TIMEOUT = 4.0
"""Seconds the provider may take for one call."""

PATIENCE = 6.0
"""Seconds that anybody waits for the SDK, which tries again by itself."""

PEER = "identity"
"""What its spans call it."""

THREADS = 16
"""How many calls of the SDK may be under way; more of them wait, within PATIENCE."""

_WRONG = frozenset(
    {"EMAIL_NOT_FOUND", "INVALID_PASSWORD", "INVALID_LOGIN_CREDENTIALS", "USER_DISABLED", "INVALID_EMAIL"}
)
_OVER = frozenset({"TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN", "USER_NOT_FOUND", "USER_DISABLED", "INVALID_GRANT_TYPE"})


class _SignedIn(msgspec.Struct, rename="camel"):
    id_token: str
    refresh_token: str
    expires_in: str
    local_id: str


class _Refreshed(msgspec.Struct):
    id_token: str
    refresh_token: str
    expires_in: str
    user_id: str


class _Error(msgspec.Struct):
    message: str


class _Failure(msgspec.Struct):
    error: _Error


class Firebase:
    """`url` is the base below which the sandbox has Google's host names as paths; empty for Google itself."""

    def __init__(
        self, project_id: str, api_key: str, url: str, service_account: str, client: httpx.AsyncClient
    ) -> None:
        self._app = firebase_admin.initialize_app(
            credentials.Certificate(service_account), {"projectId": project_id, "httpTimeout": TIMEOUT}, name="identity"
        )
        base = url or "https:/"
        self._toolkit = f"{base}/identitytoolkit.googleapis.com/v1"
        self._secure_token = f"{base}/securetoken.googleapis.com/v1"
        self._key = {"key": api_key}
        self._client = client
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="identity")

    def close(self) -> None:
        """Lets go of the SDK; what is under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        firebase_admin.delete_app(self._app)

    async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
        """Makes an account. Refuses EMAIL_TAKEN and ACCOUNT_REFUSED."""

        def make() -> None:
            try:
                auth.create_user(uid=user_id, email=email, password=password, app=self._app)
            except (auth.EmailAlreadyExistsError, auth.UidAlreadyExistsError):
                # The SDK tries again when an answer is lost, and then meets the account that it has just made.
                if not self._has(user_id):
                    raise
            if role is not None:
                auth.set_custom_user_claims(user_id, {"role": role}, app=self._app)

        try:
            await self._admin("create", make)
        except auth.EmailAlreadyExistsError as error:
            raise Refusal(Reason.EMAIL_TAKEN) from error

    def _has(self, user_id: str) -> bool:
        try:
            auth.get_user(user_id, app=self._app)
        except auth.UserNotFoundError:
            return False
        return True

    async def exists(self, user_id: str) -> bool:
        """Whether there is such an account."""
        return await self._admin("get", lambda: self._has(user_id))

    async def delete(self, user_id: str) -> None:
        """Removes an account; one that is not there is no error."""
        try:
            await self._admin("delete", lambda: auth.delete_user(user_id, app=self._app))
        except auth.UserNotFoundError:
            return

    async def confirm(self, user_id: str) -> None:
        """The e-mail address is the user's."""
        await self._update(user_id, email_verified=True)

    async def change_email(self, user_id: str, email: str) -> None:
        """Another address, which is the user's. Refuses EMAIL_TAKEN."""
        try:
            await self._update(user_id, email=email, email_verified=True)
        except auth.EmailAlreadyExistsError as error:
            raise Refusal(Reason.EMAIL_TAKEN) from error

    async def set_password(self, user_id: str, password: str) -> None:
        """Another password; every session ends."""
        await self._update(user_id, password=password)
        await self.revoke(user_id)

    async def set_role(self, user_id: str, role: str) -> None:
        """Takes effect with the next refresh."""
        await self._known("set role", lambda: auth.set_custom_user_claims(user_id, {"role": role}, app=self._app))

    async def revoke(self, user_id: str) -> None:
        """Refresh tokens given so far are worth nothing any more."""
        await self._known("revoke", lambda: auth.revoke_refresh_tokens(user_id, app=self._app))

    async def _update(self, user_id: str, **changes: Any) -> None:
        await self._known("update", lambda: auth.update_user(user_id, app=self._app, **changes))

    async def _known[T](self, what: str, call: Callable[[], T]) -> T:
        """As `_admin`. Refuses USER_NOT_FOUND for an account that the provider has no more."""
        try:
            return await self._admin(what, call)
        except auth.UserNotFoundError as error:
            raise Refusal(Reason.USER_NOT_FOUND) from error

    async def _admin[T](self, what: str, call: Callable[[], T]) -> T:
        """In a thread, since the SDK blocks; what takes too long goes on there, unheard."""
        loop = asyncio.get_running_loop()
        try:
            with tracing.calling(PEER, what):
                return await asyncio.wait_for(loop.run_in_executor(self._threads, call), PATIENCE)
        except (auth.EmailAlreadyExistsError, auth.UserNotFoundError):
            raise
        except exceptions.InvalidArgumentError as error:
            raise Refusal(Reason.ACCOUNT_REFUSED) from error
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
            raise _away() from error

    async def sign_in(self, email: str, password: str) -> Tokens:
        """Refuses CREDENTIALS_INVALID, the same for an unknown address and a wrong password."""
        answer = await self._post(
            "sign in",
            f"{self._toolkit}/accounts:signInWithPassword",
            json={"email": email, "password": password, "returnSecureToken": True},
        )
        session = _read(answer, _SignedIn, _WRONG, Reason.CREDENTIALS_INVALID)
        return Tokens(session.id_token, session.refresh_token, int(session.expires_in), session.local_id)

    async def refresh(self, refresh_token: str) -> Tokens:
        """Refuses REFRESH_TOKEN_INVALID."""
        answer = await self._post(
            "refresh",
            f"{self._secure_token}/token",
            data={"grant_type": "refresh_token", "refresh_token": refresh_token},
        )
        session = _read(answer, _Refreshed, _OVER, Reason.REFRESH_TOKEN_INVALID)
        return Tokens(session.id_token, session.refresh_token, int(session.expires_in), session.user_id)

    async def _post(self, what: str, url: str, **body: Any) -> httpx.Response:
        about = {"http.request.method": "POST", "server.address": urlsplit(url).hostname or ""}
        try:
            with tracing.calling(PEER, what, about) as span:
                answer = await self._client.post(url, params=self._key, timeout=TIMEOUT, **body)
                tracing.answered(span, answer.status_code)
                return answer
        except httpx.HTTPError as error:
            raise _away() from error


def _read[T](answer: httpx.Response, kind: type[T], expected: frozenset[str], reason: Reason) -> T:
    """The answer, or the refusal that its error code means. Anything else is the provider's fault."""
    try:
        if answer.is_success:
            return msgspec.json.decode(answer.content, type=kind)
        code = msgspec.json.decode(answer.content, type=_Failure).error.message.split(" ")[0]
    except msgspec.MsgspecError as error:
        raise _away() from error
    if code in expected:
        headers = {"WWW-Authenticate": "Bearer"}
        raise Refusal(reason, headers=headers)
    raise _away()


def _away() -> Refusal:
    return Refusal(Reason.UPSTREAM_UNAVAILABLE, "The identity provider is away.", retry_after=2)
