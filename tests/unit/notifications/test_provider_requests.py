"""What leaves for Google and Apple is what their contracts say, and the sandbox takes what those allow and no more."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import msgspec
import pytest
import yaml
from firebase_admin import messaging
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifications.adapters.providers import apns, fcm
from services.notifications.adapters.providers.apns import ApnsClient, ApnsKey
from services.notifications.adapters.providers.fcm import FcmClient
from services.notifications.adapters.providers.http import MAX_PAYLOAD_BYTES, parse_retry_after
from services.notifications.domain.notifications import Push
from services.sandbox.push.apns import ApnsPayload
from services.sandbox.push.fcm import SendMessageRequest

SPECS = Path(__file__).parents[3] / "api-specs/openapi"
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
PUSHES = st.builds(
    Push,
    id=st.uuids().map(str),
    title=TEXTS,
    body=TEXTS,
    data=st.dictionaries(st.sampled_from(["notification_id", "event", "order_id"]), TEXTS),
    expires_at=st.integers(-60, 86400 * 30).map(lambda seconds: AT + timedelta(seconds=seconds)),
    urgent=st.booleans(),
    collapse=st.none() | st.uuids().map(str),
)


def schema(spec: str, name: str) -> jsonschema_rs.Validator:
    loaded = yaml.safe_load((SPECS / f"{spec}.yaml").read_text())
    whole = {"$ref": f"#/components/schemas/{name}", "components": loaded["components"]}
    return jsonschema_rs.validator_for(whole)


SEND, PAYLOAD = schema("fcm", "SendRequest"), schema("apns", "ApnsPayload")


@given(PUSHES)
@settings(deadline=None)
def test_what_google_gets(push: Push) -> None:
    sender = cast(FcmClient, object.__new__(FcmClient))
    sender._clock = lambda: AT
    message = messaging._MessagingService.encode_message(sender._build_message("phone", push))
    body = {"message": message}
    SEND.validate(body)
    taken = msgspec.json.decode(json.dumps(body), type=SendMessageRequest).message
    assert taken.android is not None
    assert taken.android.notification is not None
    assert taken.android.notification.tag == push.id
    assert taken.apns is not None
    assert taken.apns.headers == {"apns-collapse-id": push.id}
    assert fcm.compute_payload_size(push) <= MAX_PAYLOAD_BYTES


@given(PUSHES)
@settings(deadline=None)
def test_what_apple_gets(push: Push) -> None:
    body = apns.build_payload(push)
    PAYLOAD.validate(json.loads(body))
    msgspec.json.decode(body, type=ApnsPayload)


@pytest.mark.parametrize("urgent", [True, False])
def test_apple_is_told_who_sends_what_until_when(urgent: bool) -> None:
    sender = cast(ApnsClient, object.__new__(ApnsClient))
    sender._token, sender._token_created_at, sender._clock = "signed", 0.0, lambda: 1.0
    sender._key = ApnsKey("LOCALKEY01", "LOCALTEAM1", "test.delivery.app", "")
    name = "0198e9c5-0000-7000-8000-000000000001"
    assert sender._build_headers(Push(name, "T", "B", {}, AT, urgent, None)) == {
        "authorization": "bearer signed",
        "apns-topic": "test.delivery.app",
        "apns-push-type": "alert",
        "apns-priority": "10" if urgent else "5",
        "apns-expiration": str(int(AT.timestamp())),
        "apns-collapse-id": name,
        "apns-id": name,
    }


@pytest.mark.parametrize(
    "message",
    [
        {"token": "t"},
        {"token": "t", "notification": {"title": "x", "body": "y"}, "data": {"n": "1"}},
        {"token": "t", "android": {"ttl": "60s", "priority": "high", "notification": {"tag": "a"}}},
        {"token": "t", "apns": {"headers": {"apns-collapse-id": "a"}}},
        {"token": "t", "data": {"n": 1}},
        {"token": "t", "android": {"ttl": 60}},
        {"token": "t", "android": {"priority": "urgent"}},
        {"token": "t", "notification": {"titel": "x"}},
        {"token": "t", "titel": "x"},
        {"token": 7},
    ],
)
def test_the_sandbox_takes_what_googles_contract_allows(message: dict[str, Any]) -> None:
    body = {"message": message}
    try:
        msgspec.json.decode(json.dumps(body), type=SendMessageRequest)
        taken = True
    except msgspec.DecodeError:
        taken = False
    assert taken is SEND.is_valid(body)


@pytest.mark.parametrize(
    "body",
    [
        {"aps": {"alert": {"title": "x", "body": "y"}}},
        {"aps": {"alert": {"title": "x"}}, "own": "1"},
        {},
        {"aps": 1},
        [],
    ],
)
def test_the_sandbox_takes_what_apples_contract_allows(body: object) -> None:
    try:
        msgspec.json.decode(json.dumps(body), type=ApnsPayload)
        taken = True
    except msgspec.DecodeError:
        taken = False
    assert taken is PAYLOAD.is_valid(body)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, AT) == seconds
