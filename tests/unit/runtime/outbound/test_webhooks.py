"""Signatures of webhooks."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from generated.proto.delivery.partners.v1 import HandleReadyCallbackRequest
from services.runtime.core.errors import ApiError
from services.runtime.outbound.webhooks import SignedRequest, create_verifier, sign_message, verify_signature

OLD_SECRET, SECRET, OTHER_SECRET = (f"whsec_{b64encode(bytes([number]) * 32).decode()}" for number in range(3))
TOLERANCE = timedelta(minutes=5)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


def build_request(headers: Mapping[str, str], body: bytes) -> SignedRequest:
    return SignedRequest(headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], body)


def sign(age: timedelta = timedelta(0), body: bytes = b'{"a":1}', secret: str = SECRET) -> SignedRequest:
    return build_request(sign_message("msg_1", datetime.now(UTC) - age, body, secret), body)


def is_valid(request: SignedRequest, *secrets: str) -> bool:
    try:
        verify_signature(request, secrets)
    except ApiError as error:
        if error.reason is Reason.SIGNATURE_INVALID:
            return False
        raise
    return True


@given(message_id=st.text("abc_-0123", min_size=1), text=TEXTS)
def test_signed_message_is_valid(message_id: str, text: str) -> None:
    headers = sign_message(message_id, datetime.now(UTC), text.encode(), SECRET)
    assert headers.keys() == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert is_valid(build_request(headers, text.encode()), SECRET)


@pytest.mark.parametrize("secrets", [(SECRET,), (OLD_SECRET, SECRET), (SECRET, OLD_SECRET)])
def test_any_of_several_secrets_is_accepted(secrets: tuple[str, ...]) -> None:
    assert is_valid(sign(), *secrets)


@pytest.mark.parametrize("secrets", [(), (OTHER_SECRET,), (OLD_SECRET, OTHER_SECRET)])
def test_signature_with_other_secret_is_rejected(secrets: tuple[str, ...]) -> None:
    assert not is_valid(sign(), *secrets)


@pytest.mark.parametrize("secret", ["whsec_a", "not base64", "whsec_ключ"])
def test_malformed_secret_is_skipped(secret: str) -> None:
    assert not is_valid(sign(), secret)
    assert is_valid(sign(), secret, SECRET)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "msg_2"},
        {"id": ""},
        {"body": b'{"a":2}'},
        {"timestamp": ""},
        {"timestamp": "now"},
        {"timestamp": "9" * 40},
        {"signature": ""},
        {"signature": "v1,"},
        {"signature": "v2,AAAA"},
        {"signature": "v1,\xff"},
    ],
    ids=str,
)
def test_changed_request_is_rejected(changes: dict[str, str | bytes]) -> None:
    assert not is_valid(sign()._replace(**changes), SECRET)


def test_timestamp_is_part_of_the_signature() -> None:
    request = sign(timedelta(minutes=1))
    assert is_valid(request, SECRET)
    assert not is_valid(request._replace(timestamp=str(int(request.timestamp) + 1)), SECRET)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(0), True),
        (TOLERANCE - timedelta(seconds=10), True),
        (-TOLERANCE + timedelta(seconds=10), True),
        (TOLERANCE + timedelta(seconds=2), False),
        (-TOLERANCE - timedelta(seconds=2), False),
    ],
)
def test_timestamp_must_be_within_five_minutes(age: timedelta, expected: bool) -> None:
    assert is_valid(sign(age), SECRET) == expected


def test_one_of_several_signatures_suffices() -> None:
    """A sender that rotates its secret sends a signature of each."""
    request = sign()
    other = sign(secret=OTHER_SECRET)
    assert is_valid(request._replace(signature=f"{other.signature} {request.signature}"), SECRET)


def test_verifier_checks_the_signature_of_the_message() -> None:
    body = b'{"a":1}'
    headers = sign_message("msg_1", datetime.now(UTC), body, SECRET)
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    message = HandleReadyCallbackRequest(body=body, **{name.replace("-", "_"): headers[name] for name in names})
    create_verifier(message)([OLD_SECRET, SECRET])
    message.body += b" "
    with pytest.raises(ApiError, match="SIGNATURE_INVALID"):
        create_verifier(message)([OLD_SECRET, SECRET])


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_===="])
def test_empty_secret_verifies_no_signature(secret: str) -> None:
    signature = b64encode(hmac.digest(b"", f"msg_1.{int(datetime.now(UTC).timestamp())}.{{}}".encode(), "sha256"))
    forged = SignedRequest("msg_1", str(int(datetime.now(UTC).timestamp())), f"v1,{signature.decode()}", b"{}")
    assert not is_valid(forged, secret)
    assert is_valid(sign(), secret, SECRET)
