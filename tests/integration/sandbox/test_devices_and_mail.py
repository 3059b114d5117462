"""Emulated devices and mailboxes, tested with Google's messaging library and with SMTP."""

import json
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from uuid import uuid4

import firebase_admin
import httpx
import pytest
from firebase_admin import credentials, messaging

from tests.integration.sandbox.conftest import PROJECT, Sandbox

SEND = f"/v1/projects/{PROJECT}/messages:send"
OWNER = {"authorization": "Bearer owner"}


@pytest.fixture
def token() -> str:
    return f"device-{uuid4().hex}"


@pytest.fixture
def app(sandbox: Sandbox, signing_key: bytes) -> Iterator[firebase_admin.App]:
    """Firebase app with a generated service account, whose access tokens are issued by the sandbox."""
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "local",
        "private_key": signing_key.decode(),
        "client_email": f"push@{PROJECT}.iam.gserviceaccount.com",
        "token_uri": f"{sandbox.url}/oauth2/token",
    }
    firebase_app = firebase_admin.initialize_app(credentials.Certificate(account), name=uuid4().hex)
    messaging._get_messaging_service(firebase_app)._fcm_url = f"{sandbox.url}{SEND}"
    yield firebase_app
    firebase_admin.delete_app(firebase_app)


def message(token: str, title: str, tag: str | None = None) -> messaging.Message:
    return messaging.Message(
        fid=token,
        notification=messaging.Notification(title=title, body="On its way"),
        data={"order_id": "order-1"},
        android=messaging.AndroidConfig(priority="high", ttl=60, notification=messaging.AndroidNotification(tag=tag)),
    )


def test_device_replaces_notification_with_same_tag(http: httpx.Client, app: firebase_admin.App, token: str) -> None:
    sent = (("Paid", "o1"), ("Hi", None), ("Ready", "o1"))
    names = [messaging.send(message(token, title, tag), app=app) for title, tag in sent]
    notifications = http.get(f"/devices/{token}/messages").json()
    assert [entry["title"] for entry in notifications] == ["Hi", "Ready"]
    assert names[2].endswith(notifications[1]["id"])
    assert notifications[1]["data"] == {"order_id": "order-1"}
    assert "On its way" in http.get("/devices", params={"token": token}).text


def test_device_replaces_notification_with_same_collapse_id(http: httpx.Client, token: str) -> None:
    for title in ("Paid", "Ready"):
        content = {"token": token, "notification": {"title": title}, "apns": {"headers": {"apns-collapse-id": "o1"}}}
        assert http.post(SEND, json={"message": content}, headers=OWNER).status_code == 200
    assert [entry["title"] for entry in http.get(f"/devices/{token}/messages").json()] == ["Ready"]


def test_fcm_errors_match_google(http: httpx.Client, token: str) -> None:
    body = {"message": {"token": token, "notification": {"title": "x"}}}
    modes = {
        "unavailable": (503, "UNAVAILABLE"),
        "unregistered": (404, "UNREGISTERED"),
        "quota": (429, "QUOTA_EXCEEDED"),
    }
    for mode, (status, code) in modes.items():
        assert http.put("/push/fault", json={"provider": "fcm", "mode": mode, "count": 1}).status_code == 204
        response = http.post(SEND, json=body, headers=OWNER)
        assert response.status_code == status
        assert response.json()["error"]["details"][0]["errorCode"] == code
    assert http.get(f"/devices/{token}/messages").json() == []
    assert http.post(SEND, json=body, headers=OWNER).status_code == 200


@pytest.mark.parametrize(
    "invalid_message",
    [
        {"notification": {"title": "x"}},
        {"token": "t", "fid": "f"},
        {"token": "t", "data": {"n": 1}},
        {"token": "t", "android": {"ttl": 60}},
        {"token": "t", "titel": "x"},
        {"token": "t", "data": {"text": "x" * 4096}},
    ],
)
def test_fcm_rejects_invalid_message(http: httpx.Client, invalid_message: dict[str, object]) -> None:
    response = http.post(SEND, json={"message": invalid_message}, headers=OWNER)
    assert response.status_code == 400
    assert response.json()["error"]["details"][0]["errorCode"] == "INVALID_ARGUMENT"


def test_fcm_requires_credentials(http: httpx.Client, token: str) -> None:
    assert http.post(SEND, json={"message": {"token": token}}).status_code == 401
    other = http.post("/v1/projects/other/messages:send", json={"message": {"token": token}}, headers=OWNER)
    assert other.json()["error"]["details"][0]["errorCode"] == "SENDER_ID_MISMATCH"
    unsupported = http.post("/oauth2/token", data={"grant_type": "password"})
    assert unsupported.json() == {"error": "unsupported_grant_type"}
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "nonsense"}
    assert http.post("/oauth2/token", data=grant).json() == {"error": "invalid_grant"}


def test_mail_is_delivered_with_extracted_code(http: httpx.Client, sandbox: Sandbox) -> None:
    to, other = f"Ada.{uuid4().hex}@delivery.test", f"{uuid4().hex}@delivery.test"
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@delivery.test", to, "Willkommen, Adä"
    mail.set_content("Your code is: Zx9-42_aB7\n")
    mail.add_alternative("<p>Your code is: <b>Zx9-42_aB7</b><script>x</script></p>", subtype="html")
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port) as smtp:
        smtp.send_message(mail, to_addrs=[to, other])
    for address in (to.lower(), other):
        [received] = http.get(f"/mailbox/{address}").json()
        assert received["subject"] == "Willkommen, Adä"
        assert received["code"] == "Zx9-42_aB7"
        assert "<b>" in received["html"]
        assert set(received) == {"subject", "text", "html", "code", "received_at"}
    page = http.get("/mailbox", params={"address": to}).text
    assert "Zx9-42_aB7" in page
    assert "<script" not in page


def test_every_link_of_index_page_returns_200(http: httpx.Client) -> None:
    index = http.get("/").text
    links = {part.partition('"')[0].replace("&amp;", "&") for part in index.split('href="')[1:]}
    assert {"/checkout/visa", "/kitchen/1", "/devices", "/mailbox"} <= links
    assert {http.get(link).status_code for link in links} == {200}


def test_oversized_body_returns_413(http: httpx.Client) -> None:
    response = http.post(SEND, content=json.dumps({"x": "y" * 300_000}), headers=OWNER)
    assert response.status_code == 413
