"""Firebase Authentication: firebase-admin for administration, the Identity Toolkit REST API for sessions.

The SDK blocks, so it runs in threads. It connects to FIREBASE_AUTH_EMULATOR_HOST where that is set. The variable does
not affect authentication, since the sidecar and not this process verifies tokens.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, override

import firebase_admin
import httpx
import requests
from firebase_admin import auth, credentials, exceptions
from google.auth.exceptions import GoogleAuthError

from generated.problems import Reason
from services.gateway.adapters.identity_toolkit import (
    HTTP_TIMEOUT_S,
    PEER_SERVICE,
    IdentityToolkitClient,
    create_unavailable_error,
)
from services.gateway.domain.accounts import SessionTokens
from services.gateway.domain.provider_sign_in import ProviderSession, ProviderSignIn
from services.gateway.usecases.ports import IdentityProvider
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import requests_sessions, tracing

log = logging.getLogger(__name__)

EMULATOR_HOST_VARIABLE = "FIREBASE_AUTH_EMULATOR_HOST"
"""Environment variable with the host to which the SDK connects instead of Google."""

TOTAL_TIMEOUT_S = 6.0
"""Timeout of an SDK call, including the SDK's own retries."""

MAX_THREADS = 16
"""Maximum number of concurrent SDK calls; further calls wait, for at most TOTAL_TIMEOUT_S."""


class FirebaseIdentityProvider(IdentityProvider):
    """Identity provider on Firebase.

    `emulator_url` is a base URL below which an emulator serves Google's host names as paths; empty for Google itself.
    """

    def __init__(
        self, project_id: str, api_key: str, emulator_url: str, service_account: str, client: httpx.AsyncClient
    ) -> None:
        self._app = firebase_admin.initialize_app(
            credentials.Certificate(service_account),
            {"projectId": project_id, "httpTimeout": HTTP_TIMEOUT_S},
            name="identity",
        )
        requests_sessions.measure_requests(auth._get_client(self._app)._user_manager.http_client.session)
        self._toolkit = IdentityToolkitClient(api_key, emulator_url, client)
        self._executor = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="identity")

    def close(self) -> None:
        """Close the SDK without waiting for calls in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        firebase_admin.delete_app(self._app)

    @override
    async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
        def create_user() -> None:
            try:
                auth.create_user(uid=user_id, email=email, password=password, app=self._app)
            except (auth.EmailAlreadyExistsError, auth.UidAlreadyExistsError):
                # The SDK retries when a response is lost, and then finds the account that its first attempt created.
                if not self._has_user(user_id):
                    raise
            if role is not None:
                auth.set_custom_user_claims(user_id, {"role": role}, app=self._app)

        try:
            await self._call_admin("create", create_user)
        except auth.EmailAlreadyExistsError as error:
            raise ApiError(Reason.EMAIL_TAKEN) from error

    def _has_user(self, user_id: str) -> bool:
        try:
            auth.get_user(user_id, app=self._app)
        except auth.UserNotFoundError:
            return False
        return True

    @override
    async def exists(self, user_id: str) -> bool:
        return await self._call_admin("get", lambda: self._has_user(user_id))

    @override
    async def delete(self, user_id: str) -> None:
        try:
            await self._call_admin("delete", lambda: auth.delete_user(user_id, app=self._app))
        except auth.UserNotFoundError:
            return

    @override
    async def mark_email_verified(self, user_id: str) -> None:
        await self._update_user(user_id, email_verified=True)

    @override
    async def change_email(self, user_id: str, email: str) -> None:
        try:
            await self._update_user(user_id, email=email, email_verified=True)
        except auth.EmailAlreadyExistsError as error:
            raise ApiError(Reason.EMAIL_TAKEN) from error

    @override
    async def set_password(self, user_id: str, password: str) -> None:
        # One request, so that no failure leaves sessions with the former password.
        await self._update_user(user_id, password=password, valid_since=int(time.time()))

    @override
    async def set_role(self, user_id: str, role: str) -> None:
        await self._call_admin_for_user(
            "set role", lambda: auth.set_custom_user_claims(user_id, {"role": role}, app=self._app)
        )

    @override
    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        await self._update_user(user_id, disabled=disabled)
        if disabled:
            await self.revoke_refresh_tokens(user_id)

    @override
    async def revoke_refresh_tokens(self, user_id: str) -> None:
        await self._call_admin_for_user("revoke", lambda: auth.revoke_refresh_tokens(user_id, app=self._app))

    async def _update_user(self, user_id: str, **changes: Any) -> None:
        await self._call_admin_for_user("update", lambda: auth.update_user(user_id, app=self._app, **changes))

    async def _call_admin_for_user[T](self, operation: str, call: Callable[[], T]) -> T:
        """Call the SDK for an account.

        Raises ApiError: USER_NOT_FOUND.
        """
        try:
            return await self._call_admin(operation, call)
        except auth.UserNotFoundError as error:
            raise ApiError(Reason.USER_NOT_FOUND) from error

    async def _call_admin[T](self, operation: str, call: Callable[[], T]) -> T:
        """Call the SDK in a thread. After the timeout the call continues there, and its result is discarded.

        Raises ApiError: ACCOUNT_REFUSED, UPSTREAM_UNAVAILABLE.
        """
        loop = asyncio.get_running_loop()
        try:
            with tracing.start_peer_span(PEER_SERVICE, operation):
                bound_call = requests_sessions.bind_context(call)
                return await asyncio.wait_for(loop.run_in_executor(self._executor, bound_call), TOTAL_TIMEOUT_S)
        except (auth.EmailAlreadyExistsError, auth.UserNotFoundError):
            raise
        except exceptions.InvalidArgumentError as error:
            raise ApiError(Reason.ACCOUNT_REFUSED) from error
        # The SDK does not validate responses: an invalid one causes a KeyError or TypeError.
        except (
            exceptions.FirebaseError,
            GoogleAuthError,
            requests.RequestException,
            KeyError,
            TypeError,
            TimeoutError,
        ) as error:
            log.warning("identity provider call failed: %r", error)
            raise create_unavailable_error() from error
        except ValueError as error:  # the SDK validates addresses itself
            raise ApiError(Reason.ACCOUNT_REFUSED) from error

    @override
    async def sign_in(self, email: str, password: str) -> SessionTokens:
        return await self._toolkit.sign_in(email, password)

    @override
    async def sign_in_with_provider(self, request: ProviderSignIn) -> ProviderSession:
        return await self._toolkit.sign_in_with_provider(request)

    @override
    async def refresh_session(self, refresh_token: str) -> SessionTokens:
        return await self._toolkit.refresh_session(refresh_token)
