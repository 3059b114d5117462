"""Classification of FCM errors."""

import json

import pytest
import requests
from firebase_admin import exceptions, messaging
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, ReadTimeoutError

from services.notifications.adapters.providers.fcm import map_error
from services.notifications.domain.notifications import Outcome


def build_response(status: int, body: object = None) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    return response


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code"),
    [
        (401, {}, Outcome.BUSY, "UNKNOWN"),
        (429, {"error": {"details": [{"errorCode": "QUOTA_EXCEEDED"}]}}, Outcome.BUSY, "QUOTA_EXCEEDED"),
        (503, {"error": {"details": []}}, Outcome.BUSY, "UNKNOWN"),
        (400, {"error": {"details": [{}, {"errorCode": "x" * 99}]}}, Outcome.REJECTED, "x" * 64),
        (500, [], Outcome.UNCLEAR, "UNKNOWN"),
        (200, None, Outcome.UNCLEAR, "NONSENSE"),
    ],
)
def test_error_response_is_classified(status: int, body: object, outcome: Outcome, code: str) -> None:
    error = exceptions.UnknownError("m", http_response=build_response(status, body))
    response = map_error(error)
    assert (response.outcome, response.code, response.is_unregistered) == (outcome, code, False)


@pytest.mark.parametrize(
    ("error_type", "code", "is_unregistered"),
    [
        (messaging.UnregisteredError, "UNREGISTERED", True),
        (messaging.SenderIdMismatchError, "SENDER_ID_MISMATCH", False),
    ],
)
def test_unusable_token_is_rejected(error_type: type, code: str, is_unregistered: bool) -> None:
    response = map_error(error_type("m", http_response=build_response(404)))
    assert (response.outcome, response.code, response.is_unregistered) == (Outcome.REJECTED, code, is_unregistered)


@pytest.mark.parametrize(
    ("cause", "outcome", "code"),
    [
        (requests.ConnectTimeout(), Outcome.BUSY, "UNREACHABLE"),
        (
            requests.ConnectionError(MaxRetryError(None, "/", ConnectTimeoutError())),
            Outcome.BUSY,
            "UNREACHABLE",
        ),
        (
            requests.ConnectionError(MaxRetryError(None, "/", ReadTimeoutError(None, "/", ""))),
            Outcome.UNCLEAR,
            "TRANSPORT",
        ),
        (requests.ReadTimeout(), Outcome.UNCLEAR, "TIMEOUT"),
        (requests.ConnectionError("reset"), Outcome.UNCLEAR, "TRANSPORT"),
        (None, Outcome.UNCLEAR, "TRANSPORT"),
    ],
)
def test_only_missing_connection_excludes_delivery(cause: Exception | None, outcome: Outcome, code: str) -> None:
    response = map_error(exceptions.UnknownError("m", cause=cause))
    assert (response.outcome, response.code) == (outcome, code)
