"""Phones and mailboxes, driven by Google's messaging library and by SMTP."""

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
    return f"phone-{uuid4().hex}"


@pytest.fixture
def app(sandbox: Sandbox, signing_key: bytes) -> Iterator[firebase_admin.App]:
    """As the notifications service is set up: a self-made service account whose tokens come from the sandbox."""
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "local",
        "private_key": signing_key.decode(),
        "client_email": f"push@{PROJECT}.iam.gserviceaccount.com",
        "token_uri": f"{sandbox.url}/oauth2/token",
    }
    made = firebase_admin.initialize_app(credentials.Certificate(account), name=uuid4().hex)
    messaging._get_messaging_service(made)._fcm_url = f"{sandbox.url}{SEND}"
    yield made
    firebase_admin.delete_app(made)


def message(token: str, title: str, tag: str | None = None) -> messaging.Message:
    return messaging.Message(
        fid=token,
        notification=messaging.Notification(title=title, body="On its way"),
        data={"order_id": "order-1"},
        android=messaging.AndroidConfig(priority="high", ttl=60, notification=messaging.AndroidNotification(tag=tag)),
    )


def test_a_phone_shows_messages_and_replaces_by_tag(http: httpx.Client, app: firebase_admin.App, token: str) -> None:
    sent = (("Paid", "o1"), ("Hi", None), ("Ready", "o1"))
    names = [messaging.send(message(token, title, tag), app=app) for title, tag in sent]
    shown = http.get(f"/devices/{token}/messages").json()
    assert [one["title"] for one in shown] == ["Hi", "Ready"]
    assert names[2].endswith(shown[1]["id"])
    assert shown[1]["data"] == {"order_id": "order-1"}
    assert "On its way" in http.get("/devices", params={"token": token}).text


def test_a_phone_replaces_by_collapse_id_as_apples_do(http: httpx.Client, token: str) -> None:
    for title in ("Paid", "Ready"):
        content = {"token": token, "notification": {"title": title}, "apns": {"headers": {"apns-collapse-id": "o1"}}}
        assert http.post(SEND, json={"message": content}, headers=OWNER).status_code == 200
    assert [one["title"] for one in http.get(f"/devices/{token}/messages").json()] == ["Ready"]


def test_push_fails_in_fcms_words(http: httpx.Client, token: str) -> None:
    body = {"message": {"token": token, "notification": {"title": "x"}}}
    modes = {
        "unavailable": (503, "UNAVAILABLE"),
        "unregistered": (404, "UNREGISTERED"),
        "quota": (429, "QUOTA_EXCEEDED"),
    }
    for mode, (status, code) in modes.items():
        assert http.put("/push/fault", json={"provider": "fcm", "mode": mode, "count": 1}).status_code == 204
        answer = http.post(SEND, json=body, headers=OWNER)
        assert answer.status_code == status
        assert answer.json()["error"]["details"][0]["errorCode"] == code
    assert http.get(f"/devices/{token}/messages").json() == []
    assert http.post(SEND, json=body, headers=OWNER).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"notification": {"title": "x"}},
        {"token": "t", "fid": "f"},
        {"token": "t", "data": {"n": 1}},
        {"token": "t", "android": {"ttl": 60}},
        {"token": "t", "titel": "x"},
        {"token": "t", "data": {"text": "x" * 4096}},
    ],
)
def test_fcm_takes_its_own_form_only(http: httpx.Client, wrong: dict[str, object]) -> None:
    answer = http.post(SEND, json={"message": wrong}, headers=OWNER)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["errorCode"] == "INVALID_ARGUMENT"


def test_fcm_asks_for_credentials(http: httpx.Client, token: str) -> None:
    assert http.post(SEND, json={"message": {"token": token}}).status_code == 401
    other = http.post("/v1/projects/other/messages:send", json={"message": {"token": token}}, headers=OWNER)
    assert other.json()["error"]["details"][0]["errorCode"] == "SENDER_ID_MISMATCH"
    wrong = http.post("/oauth2/token", data={"grant_type": "password"})
    assert wrong.json() == {"error": "unsupported_grant_type"}
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "nonsense"}
    assert http.post("/oauth2/token", data=grant).json() == {"error": "invalid_grant"}


def test_a_mail_arrives_with_its_code(http: httpx.Client, sandbox: Sandbox) -> None:
    to, other = f"Ada.{uuid4().hex}@delivery.test", f"{uuid4().hex}@delivery.test"
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@delivery.test", to, "Willkommen, Adä"
    mail.set_content("Your code is: Zx9-42_aB7\n")
    mail.add_alternative("<p>Your code is: <b>Zx9-42_aB7</b><script>x</script></p>", subtype="html")
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port) as smtp:
        smtp.send_message(mail, to_addrs=[to, other])
    for address in (to.lower(), other):
        [got] = http.get(f"/mailbox/{address}").json()
        assert got["subject"] == "Willkommen, Adä"
        assert got["code"] == "Zx9-42_aB7"
        assert "<b>" in got["html"]
        assert set(got) == {"subject", "text", "html", "code", "received_at"}
    page = http.get("/mailbox", params={"address": to}).text
    assert "Zx9-42_aB7" in page
    assert "<script" not in page


def test_every_page_of_the_index_is_there(http: httpx.Client) -> None:
    index = http.get("/").text
    links = {part.partition('"')[0].replace("&amp;", "&") for part in index.split('href="')[1:]}
    assert {"/checkout/visa", "/kitchen/1", "/devices", "/mailbox"} <= links
    assert {http.get(link).status_code for link in links} == {200}


def test_bodies_are_bounded(http: httpx.Client) -> None:
    answer = http.post(SEND, content=json.dumps({"x": "y" * 300_000}), headers=OWNER)
    assert answer.status_code == 413
