"""The sandbox's identity provider and Google's own emulator get the same calls, and answer alike.

Opt-in (`make test-identity`): the emulator comes from npm and is large. Where it takes a shortcut, or is set up
otherwise than our project would be, the difference stands in SHORTCUTS, so that a new one fails.
"""

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.integration.sandbox.conftest import PROJECT, Sandbox, apple_key, free_port, sandbox, signing_key  # noqa: F401

EMULATOR = ROOT / ".local/oracle/node_modules/firebase-tools/lib/bin/firebase.js"
STARTS_WITHIN_S = 60.0

SHORTCUTS = {
    "a token's header": "the emulator's tokens are not signed, so no Envoy of ours would take them",
    "a wrong password": "newer projects do not tell a wrong password from an unknown address; the emulator tells",
    "an unknown address": "as above",
    "refresh after revocation": "the emulator goes on refreshing what was revoked",
    "the old password": "as with a wrong password",
}
"""Steps of the story in which the two differ, and why."""

type Step = tuple[str, Any]


class Provider:
    """One of the two; everything asked of it is normalised to what must be alike."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def client(self, operation: str, **body: object) -> httpx.Response:
        """As an app with an API key."""
        return self._http.post(
            f"/identitytoolkit.googleapis.com/v1/accounts:{operation}", params={"key": "any"}, json=body
        )

    def admin(self, operation: str, **body: object) -> httpx.Response:
        """As a server with an access token."""
        path = f"/identitytoolkit.googleapis.com/v1/projects/{PROJECT}/accounts{operation}"
        return self._http.post(path, json=body, headers={"authorization": "Bearer owner"})

    def refresh(self, token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return self._http.post("/securetoken.googleapis.com/v1/token", params={"key": "any"}, data=form)


def outcome(answer: httpx.Response, *fields: str) -> tuple[int, Any]:
    """The status with the error's word, or with the fields asked for."""
    body = answer.json()
    if answer.is_error:
        return answer.status_code, body["error"]["message"].split(" ")[0]
    return answer.status_code, {name: body.get(name) for name in fields}


def part(token: str, number: int) -> dict[str, Any]:
    """The header (0) or the claims (1) of a token."""
    text = token.split(".")[number]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def story(to: Provider) -> Iterator[Step]:
    """An account's life at the provider, one comparable step at a time."""
    email, password = "ada@delivery.test", "correct horse"
    made = to.admin("", localId="ada-1", email=email.upper(), password=password)
    yield "make an account", outcome(made, "localId", "email")
    yield "the same address", outcome(to.admin("", localId="ada-2", email=email, password=password))
    yield "the same id", outcome(to.admin("", localId="ada-1", email="b@delivery.test", password=password))
    yield "a weak password", outcome(to.admin("", localId="weak", email="w@delivery.test", password="12345"))
    yield "no address", outcome(to.admin("", localId="none", email="no address", password=password))
    yield "a role", outcome(to.admin(":update", localId="ada-1", customAttributes='{"role":"customer"}'), "localId")
    yield "a claim of Google's own", outcome(to.admin(":update", localId="ada-1", customAttributes='{"sub":"x"}'))
    yield "an update of nobody", outcome(to.admin(":update", localId="nobody", emailVerified=True))

    session = to.client("signInWithPassword", email=email, password=password, returnSecureToken=True)
    yield "sign in", outcome(session, "localId", "email", "expiresIn", "registered")
    token, refresh_token = session.json()["idToken"], session.json()["refreshToken"]
    yield "a token's header", part(token, 0)["alg"]
    claims = part(token, 1)
    yield (
        "a token's claims",
        {name: claims[name] for name in ("iss", "aud", "sub", "user_id", "email", "email_verified", "role")},
    )
    yield "a token's times", (claims["exp"] - claims["iat"], claims["auth_time"] <= claims["iat"])
    yield "a token's origin", claims["firebase"]
    yield "a wrong password", outcome(to.client("signInWithPassword", email=email, password="wrong horse"))
    yield "an unknown address", outcome(to.client("signInWithPassword", email="x@delivery.test", password=password))

    fresh = to.refresh(refresh_token)
    yield "refresh", outcome(fresh, "expires_in", "token_type", "user_id")
    yield "a refresh token that is none", outcome(to.refresh("nonsense"))[0]

    shown = to.admin(":lookup", localId=["ada-1"]).json()["users"][0]
    yield "look up", {name: shown.get(name) for name in ("localId", "email", "emailVerified", "customAttributes")}
    yield "look up nobody", to.admin(":lookup", localId=["nobody"]).json().get("users")
    to.admin(":update", localId="ada-1", emailVerified=True)
    yield "verified", part(to.refresh(refresh_token).json()["id_token"], 1)["email_verified"]
    yield "another address", outcome(to.admin(":update", localId="ada-1", email="ada2@delivery.test"), "email")
    shown = to.admin(":lookup", localId=["ada-1"]).json()["users"][0]
    yield "another address is not verified", shown.get("emailVerified", False)

    to.admin(":update", localId="ada-1", password="another horse")
    yield "the old password", outcome(to.client("signInWithPassword", email="ada2@delivery.test", password=password))
    new = to.client("signInWithPassword", email="ada2@delivery.test", password="another horse", returnSecureToken=True)
    yield "the new password", outcome(new, "localId")
    to.admin(":update", localId="ada-1", validSince=str(int(time.time()) + 1))
    yield "refresh after revocation", to.refresh(new.json()["refreshToken"]).status_code

    to.admin(":update", localId="ada-1", disableUser=True)
    disabled = to.client("signInWithPassword", email="ada2@delivery.test", password="another horse")
    yield "sign in to a disabled account", outcome(disabled)
    yield "delete", outcome(to.admin(":delete", localId="ada-1"))
    yield "delete again", outcome(to.admin(":delete", localId="ada-1"))
    yield "refresh after deletion", to.refresh(new.json()["refreshToken"]).status_code


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Google's, on free ports."""
    folder = tmp_path_factory.mktemp("emulator")
    ports = {name: {"host": "127.0.0.1", "port": free_port()} for name in ("auth", "hub", "logging")}
    settings = {"emulators": {**ports, "ui": {"enabled": False}, "singleProjectMode": False}}
    (folder / "firebase.json").write_text(json.dumps(settings))
    command = ["node", str(EMULATOR), "emulators:start", "--only", "auth", "--project", PROJECT]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CI": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{ports['auth']['port']}"
    try:
        _await(process, url, folder / "log")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.get(url).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
    raise AssertionError(f"the emulator does not start:\n{log.read_text()}")


def test_both_answer_alike(emulator: str, sandbox: Sandbox) -> None:  # noqa: F811
    told: list[list[Step]] = []
    for url in (emulator, sandbox.url):
        provider = Provider(url)
        told.append(list(story(provider)))
        provider.close()
    theirs, ours = told
    assert [name for name, _ in theirs] == [name for name, _ in ours]
    differing = {name: (their, our) for (name, their), (_, our) in zip(theirs, ours, strict=True) if their != our}
    unexpected = {name: both for name, both in differing.items() if name not in SHORTCUTS}
    assert not unexpected, f"the emulator's answer, then the sandbox's: {unexpected}"
    assert not SHORTCUTS.keys() - differing.keys(), "shortcuts that are none"
