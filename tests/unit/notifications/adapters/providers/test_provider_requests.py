"""Requests to FCM and APNs match the provider contracts; so does the validation in the emulators."""

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
from services.notifications.adapters.providers.limits import MAX_PAYLOAD_BYTES
from services.notifications.domain.notifications import Push
from services.sandbox.push.apns import ApnsPayload
from services.sandbox.push.fcm import SendMessageRequest

SPECS = Path(__file__).parents[5] / "api-specs/openapi"
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
PUSHES = st.builds(
    Push,
    id=st.uuids().map(str),
    title=TEXTS,
    body=TEXTS,
    data=st.dictionaries(st.sampled_from(["notification_id", "event", "order_id"]), TEXTS),
    expires_at=st.integers(-60, 86400 * 30).map(lambda seconds: AT + timedelta(seconds=seconds)),
    is_urgent=st.booleans(),
    collapse_key=st.none() | st.uuids().map(str),
)


def build_validator(spec: str, schema_name: str) -> jsonschema_rs.Validator:
    document = yaml.load((SPECS / f"{spec}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    schema = {"$ref": f"#/components/schemas/{schema_name}", "components": document["components"]}
    return jsonschema_rs.validator_for(schema)


FCM_REQUEST_VALIDATOR = build_validator("fcm", "SendRequest")
APNS_PAYLOAD_VALIDATOR = build_validator("apns", "ApnsPayload")


@given(PUSHES)
@settings(deadline=None)
def test_fcm_request_matches_contract(push: Push) -> None:
    body = {"message": fcm.build_message("phone", push, AT)}
    FCM_REQUEST_VALIDATOR.validate(body)
    decoded = msgspec.json.decode(json.dumps(body), type=SendMessageRequest).message
    assert decoded.android is not None
    assert decoded.android.notification is not None
    assert decoded.android.notification.tag == push.id
    assert decoded.apns is not None
    assert decoded.apns.headers == {"apns-collapse-id": push.id}
    assert fcm.compute_payload_size(push) <= MAX_PAYLOAD_BYTES


@given(PUSHES.filter(lambda push: push.data))
@settings(deadline=None)
def test_fcm_message_is_that_of_the_sdk(push: Push) -> None:
    ttl = max(timedelta(0), push.expires_at - AT)
    message = messaging.Message(
        notification=messaging.Notification(title=push.title, body=push.body),
        data=push.data,
        android=messaging.AndroidConfig(
            collapse_key=push.collapse_key or push.id,
            priority="high" if push.is_urgent else "normal",
            ttl=ttl,
            notification=messaging.AndroidNotification(tag=push.id),
        ),
        apns=messaging.APNSConfig(headers={"apns-collapse-id": push.id}),
    )
    # The constructor deprecates `token` in favour of installation ids; stored devices have registration tokens.
    message.token = "phone"
    assert fcm.build_message("phone", push, AT) == messaging._MessagingService.encode_message(message)


@given(PUSHES)
@settings(deadline=None)
def test_apns_payload_matches_contract(push: Push) -> None:
    body = apns.build_payload(push)
    APNS_PAYLOAD_VALIDATOR.validate(json.loads(body))
    msgspec.json.decode(body, type=ApnsPayload)


@pytest.mark.parametrize("is_urgent", [True, False])
def test_apns_request_headers(is_urgent: bool) -> None:
    client = cast(ApnsClient, object.__new__(ApnsClient))
    client._token, client._token_created_at, client._clock = "signed", 0.0, lambda: 1.0
    client._key = ApnsKey("LOCALKEY01", "LOCALTEAM1", "test.delivery.app", "")
    notification_id = "0198e9c5-0000-7000-8000-000000000001"
    assert client._build_headers(Push(notification_id, "T", "B", {}, AT, is_urgent, None)) == {
        "authorization": "bearer signed",
        "apns-topic": "test.delivery.app",
        "apns-push-type": "alert",
        "apns-priority": "10" if is_urgent else "5",
        "apns-expiration": str(int(AT.timestamp())),
        "apns-collapse-id": notification_id,
        "apns-id": notification_id,
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
def test_fcm_emulator_validates_like_contract(message: dict[str, Any]) -> None:
    body = {"message": message}
    try:
        msgspec.json.decode(json.dumps(body), type=SendMessageRequest)
        is_accepted = True
    except msgspec.DecodeError:
        is_accepted = False
    assert is_accepted is FCM_REQUEST_VALIDATOR.is_valid(body)


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
def test_apns_emulator_validates_like_contract(body: object) -> None:
    try:
        msgspec.json.decode(json.dumps(body), type=ApnsPayload)
        is_accepted = True
    except msgspec.DecodeError:
        is_accepted = False
    assert is_accepted is APNS_PAYLOAD_VALIDATOR.is_valid(body)
