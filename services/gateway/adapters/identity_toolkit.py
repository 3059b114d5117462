"""Sessions of Firebase Authentication: the Identity Toolkit and Secure Token REST APIs."""

from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from generated.problems import Reason
from services.gateway.domain.accounts import SessionTokens
from services.gateway.domain.provider_sign_in import ProviderSession, ProviderSignIn, SignInProvider
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import http_client, tracing

HTTP_TIMEOUT_S = 4.0
"""Timeout of one HTTP request to the provider."""

PEER_SERVICE = "identity"
"""Peer name in spans."""

_INVALID_CREDENTIALS_CODES = frozenset(
    {"EMAIL_NOT_FOUND", "INVALID_PASSWORD", "INVALID_LOGIN_CREDENTIALS", "USER_DISABLED", "INVALID_EMAIL"}
)
_PROVIDER_IDS = {SignInProvider.GOOGLE: "google.com", SignInProvider.APPLE: "apple.com"}
_INVALID_PROVIDER_TOKEN_CODES = frozenset(
    {"INVALID_IDP_RESPONSE", "INVALID_CREDENTIAL", "INVALID_ID_TOKEN", "MISSING_OR_INVALID_NONCE", "USER_DISABLED"}
)
_PROVIDER_REQUEST_URI = "http://localhost"
"""URI of the redirect from the provider, which the API requires and which a native SDK does not have."""

_INVALID_TOKEN_CODES = frozenset(
    {"TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN", "USER_NOT_FOUND", "USER_DISABLED", "INVALID_GRANT_TYPE"}
)


class _SignInResponse(msgspec.Struct, rename="camel"):
    id_token: str
    refresh_token: str
    expires_in: str
    local_id: str


class _ProviderSignInResponse(msgspec.Struct, rename="camel"):
    id_token: str = ""
    refresh_token: str = ""
    expires_in: str = ""
    local_id: str = ""
    email_verified: bool = False
    first_name: str = ""
    last_name: str = ""
    need_confirmation: bool = False


class _RefreshResponse(msgspec.Struct):
    id_token: str
    refresh_token: str
    expires_in: str
    user_id: str


class _TokenClaims(msgspec.Struct):
    iat: int


class _ErrorDetail(msgspec.Struct):
    message: str


class _ErrorResponse(msgspec.Struct):
    error: _ErrorDetail


class IdentityToolkitClient:
    """Client of the APIs that take the project's API key.

    `emulator_url` is a base URL below which an emulator serves Google's host names as paths; empty for Google itself.
    """

    def __init__(self, api_key: str, emulator_url: str, client: httpx.AsyncClient) -> None:
        base = emulator_url or "https:/"
        self._identity_toolkit_url = f"{base}/identitytoolkit.googleapis.com/v1"
        self._secure_token_url = f"{base}/securetoken.googleapis.com/v1"
        self._api_key_params = {"key": api_key}
        self._client = client

    async def sign_in(self, email: str, password: str) -> SessionTokens:
        """Exchange the credentials for tokens. Raises ApiError: CREDENTIALS_INVALID."""
        response = await self._post(
            "sign in",
            f"{self._identity_toolkit_url}/accounts:signInWithPassword",
            json={"email": email, "password": password, "returnSecureToken": True},
        )
        session = _decode_response(response, _SignInResponse, _INVALID_CREDENTIALS_CODES, Reason.CREDENTIALS_INVALID)
        return _build_session_tokens(session, session.local_id)

    async def sign_in_with_provider(self, request: ProviderSignIn) -> ProviderSession:
        """Exchange a provider's id token for tokens.

        Raises ApiError: PROVIDER_TOKEN_INVALID, PROVIDER_EMAIL_UNVERIFIED, EMAIL_TAKEN.
        """
        form = {"id_token": request.id_token, "providerId": _PROVIDER_IDS[request.provider]}
        if request.nonce is not None:
            form["nonce"] = request.nonce
        body = {"postBody": urlencode(form), "requestUri": _PROVIDER_REQUEST_URI, "returnSecureToken": True}
        response = await self._post(
            "provider sign in", f"{self._identity_toolkit_url}/accounts:signInWithIdp", json=body
        )
        session = _decode_response(
            response, _ProviderSignInResponse, _INVALID_PROVIDER_TOKEN_CODES, Reason.PROVIDER_TOKEN_INVALID
        )
        if session.need_confirmation:
            raise ApiError(Reason.EMAIL_TAKEN)
        tokens = _build_session_tokens(session, session.local_id)
        if not session.email_verified:
            raise ApiError(Reason.PROVIDER_EMAIL_UNVERIFIED)
        return ProviderSession(tokens, session.first_name, session.last_name)

    async def refresh_session(self, refresh_token: str) -> SessionTokens:
        """Exchange a refresh token for new tokens. Raises ApiError: REFRESH_TOKEN_INVALID."""
        response = await self._post(
            "refresh",
            f"{self._secure_token_url}/token",
            data={"grant_type": "refresh_token", "refresh_token": refresh_token},
        )
        session = _decode_response(response, _RefreshResponse, _INVALID_TOKEN_CODES, Reason.REFRESH_TOKEN_INVALID)
        return _build_session_tokens(session, session.user_id)

    async def _post(self, operation: str, url: str, **body: Any) -> httpx.Response:
        parsed_url = httpx.URL(url)
        attributes = http_client.build_attributes("POST", parsed_url)
        try:
            with (
                http_client.Measurement("POST", parsed_url) as measurement,
                tracing.start_peer_span(PEER_SERVICE, operation, attributes) as span,
            ):
                response = await self._client.post(url, params=self._api_key_params, timeout=HTTP_TIMEOUT_S, **body)
                measurement.status = response.status_code
                tracing.record_http_response(span, response.status_code)
                return response
        except httpx.HTTPError as error:
            raise create_unavailable_error() from error


def _decode_response[T](
    response: httpx.Response, response_type: type[T], expected_codes: frozenset[str], reason: Reason
) -> T:
    """Decode a successful response.

    Raises ApiError: `reason` for an expected error code, UPSTREAM_UNAVAILABLE for an invalid response or other errors.
    """
    try:
        if response.is_success:
            return msgspec.json.decode(response.content, type=response_type)
        code = msgspec.json.decode(response.content, type=_ErrorResponse).error.message.split(" ")[0]
    except msgspec.MsgspecError as error:
        raise create_unavailable_error() from error
    if code in expected_codes:
        raise ApiError(reason)
    raise create_unavailable_error()


def _build_session_tokens(
    response: _SignInResponse | _ProviderSignInResponse | _RefreshResponse, user_id: str
) -> SessionTokens:
    """Return the tokens of a response, with the time of issue from the access token, which the sidecar verifies.

    Raises ApiError: UPSTREAM_UNAVAILABLE for an invalid response.
    """
    try:
        payload = response.id_token.split(".")[1].encode()
        claims = msgspec.json.decode(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=_TokenClaims)
        return SessionTokens(
            response.id_token,
            response.refresh_token,
            int(response.expires_in),
            user_id,
            datetime.fromtimestamp(claims.iat, UTC),
        )
    except (IndexError, ValueError, OverflowError) as error:
        raise create_unavailable_error() from error


def create_unavailable_error() -> ApiError:
    """Return the error of a provider that does not respond, or with something unexpected."""
    return ApiError(Reason.UPSTREAM_UNAVAILABLE, "The identity provider is unavailable.", retry_after=2)
