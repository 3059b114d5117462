"""Conformance of the sandbox's identity provider: Google's emulator must return the same responses.

Opt-in (`make test-identity`), because the emulator is a large npm package. DIFFERENCES lists accepted differences:
simplifications of the emulator. Any other difference fails.
"""

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.free_ports import find_free_port
from tests.integration.sandbox.conftest import PROJECT, Sandbox, apple_key, sandbox, signing_key  # noqa: F401
from tests.wait import wait_until_process_is_ready

EMULATOR = ROOT / ".local/firebase-tools/node_modules/firebase-tools/lib/bin/firebase.js"
START_TIMEOUT_S = 60.0

DIFFERENCES = {
    "token header": "the emulator does not sign tokens, so Envoy would reject them",
    "refresh after revocation": "the emulator accepts revoked refresh tokens",
}
"""Steps in which the two providers differ, with the reason."""

type Step = tuple[str, Any]


class Provider:
    """Client of an identity provider: the sandbox or the emulator."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def call_as_client(self, operation: str, **body: object) -> httpx.Response:
        """Call an operation as a client with an API key."""
        return self._http.post(
            f"/identitytoolkit.googleapis.com/v1/accounts:{operation}", params={"key": "any"}, json=body
        )

    def call_as_admin(self, operation: str, **body: object) -> httpx.Response:
        """Call an operation as a server with an access token."""
        path = f"/identitytoolkit.googleapis.com/v1/projects/{PROJECT}/accounts{operation}"
        return self._http.post(path, json=body, headers={"authorization": "Bearer owner"})

    def refresh(self, token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return self._http.post("/securetoken.googleapis.com/v1/token", params={"key": "any"}, data=form)


def select_fields(response: httpx.Response, *fields: str) -> tuple[int, Any]:
    """Return the status with the error code, or with the selected fields."""
    body = response.json()
    if response.is_error:
        return response.status_code, body["error"]["message"].split(" ")[0]
    return response.status_code, {name: body.get(name) for name in fields}


def decode_part(token: str, index: int) -> dict[str, Any]:
    """Return the header (index 0) or the claims (index 1) of a token."""
    text = token.split(".")[index]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


def run_steps(provider: Provider) -> Iterator[Step]:
    """Run the lifecycle of an account. Yields the normalised response of each step."""
    email, password = "ada@delivery.test", "correct horse"
    created = provider.call_as_admin("", localId="ada-1", email=email.upper(), password=password)
    yield "create account", select_fields(created, "localId", "email")
    yield (
        "duplicate address",
        select_fields(provider.call_as_admin("", localId="ada-2", email=email, password=password)),
    )
    yield (
        "duplicate id",
        select_fields(provider.call_as_admin("", localId="ada-1", email="b@delivery.test", password=password)),
    )
    yield (
        "weak password",
        select_fields(provider.call_as_admin("", localId="weak", email="w@delivery.test", password="12345")),
    )
    yield (
        "invalid address",
        select_fields(provider.call_as_admin("", localId="none", email="no address", password=password)),
    )
    yield (
        "set role",
        select_fields(
            provider.call_as_admin(":update", localId="ada-1", customAttributes='{"role":"customer"}'), "localId"
        ),
    )
    yield (
        "set reserved claim",
        select_fields(provider.call_as_admin(":update", localId="ada-1", customAttributes='{"sub":"x"}')),
    )
    yield (
        "update unknown account",
        select_fields(provider.call_as_admin(":update", localId="unknown", emailVerified=True)),
    )

    session = provider.call_as_client("signInWithPassword", email=email, password=password, returnSecureToken=True)
    yield "sign in", select_fields(session, "localId", "email", "expiresIn", "registered")
    token, refresh_token = session.json()["idToken"], session.json()["refreshToken"]
    yield "token header", decode_part(token, 0)["alg"]
    claims = decode_part(token, 1)
    yield (
        "token claims",
        {name: claims[name] for name in ("iss", "aud", "sub", "user_id", "email", "email_verified", "role")},
    )
    yield "token lifetime", (claims["exp"] - claims["iat"], claims["auth_time"] <= claims["iat"])
    yield "token firebase claim", claims["firebase"]
    yield (
        "wrong password",
        select_fields(provider.call_as_client("signInWithPassword", email=email, password="wrong horse")),
    )
    yield (
        "unknown address",
        select_fields(provider.call_as_client("signInWithPassword", email="x@delivery.test", password=password)),
    )

    refreshed = provider.refresh(refresh_token)
    yield "refresh", select_fields(refreshed, "expires_in", "token_type", "user_id")
    yield "invalid refresh token", select_fields(provider.refresh("nonsense"))[0]

    account = provider.call_as_admin(":lookup", localId=["ada-1"]).json()["users"][0]
    yield (
        "get account",
        {name: account.get(name) for name in ("localId", "email", "emailVerified", "customAttributes")},
    )
    yield "get unknown account", provider.call_as_admin(":lookup", localId=["unknown"]).json().get("users")
    provider.call_as_admin(":update", localId="ada-1", emailVerified=True)
    yield "verify address", decode_part(provider.refresh(refresh_token).json()["id_token"], 1)["email_verified"]
    yield (
        "change address",
        select_fields(provider.call_as_admin(":update", localId="ada-1", email="ada2@delivery.test"), "email"),
    )
    account = provider.call_as_admin(":lookup", localId=["ada-1"]).json()["users"][0]
    yield "changed address is not verified", account.get("emailVerified", False)

    provider.call_as_admin(":update", localId="ada-1", password="another horse")
    yield (
        "old password",
        select_fields(provider.call_as_client("signInWithPassword", email="ada2@delivery.test", password=password)),
    )
    new_session = provider.call_as_client(
        "signInWithPassword", email="ada2@delivery.test", password="another horse", returnSecureToken=True
    )
    yield "new password", select_fields(new_session, "localId")
    provider.call_as_admin(":update", localId="ada-1", validSince=str(int(time.time()) + 1))
    yield "refresh after revocation", provider.refresh(new_session.json()["refreshToken"]).status_code

    provider.call_as_admin(":update", localId="ada-1", disableUser=True)
    disabled = provider.call_as_client("signInWithPassword", email="ada2@delivery.test", password="another horse")
    yield "sign in to a disabled account", select_fields(disabled)
    yield "delete account", select_fields(provider.call_as_admin(":delete", localId="ada-1"))
    yield "delete account again", select_fields(provider.call_as_admin(":delete", localId="ada-1"))
    yield "refresh after deletion", provider.refresh(new_session.json()["refreshToken"]).status_code


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Google's emulator on free ports. Yields its URL."""
    folder = tmp_path_factory.mktemp("emulator")
    ports = {name: {"host": "127.0.0.1", "port": find_free_port()} for name in ("auth", "hub", "logging")}
    settings = {"emulators": {**ports, "ui": {"enabled": False}, "singleProjectMode": False}}
    (folder / "firebase.json").write_text(json.dumps(settings), encoding="utf-8")
    command = ["node", str(EMULATOR), "emulators:start", "--only", "auth", "--project", PROJECT]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CI": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{ports['auth']['port']}"
    try:
        wait_until_process_is_ready(process, url, START_TIMEOUT_S, folder / "log")
        _protect_addresses(url)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def _protect_addresses(url: str) -> None:
    """Configure the emulator like new projects, which do not distinguish a wrong password from an unknown address."""
    response = httpx.patch(
        f"{url}/identitytoolkit.googleapis.com/v2/projects/{PROJECT}/config",
        params={"updateMask": "emailPrivacyConfig.enableImprovedEmailPrivacy"},
        json={"emailPrivacyConfig": {"enableImprovedEmailPrivacy": True}},
        headers={"authorization": "Bearer owner"},
        trust_env=False,
    )
    response.raise_for_status()


def test_sandbox_and_emulator_return_equal_responses(emulator: str, sandbox: Sandbox) -> None:  # noqa: F811
    steps: list[list[Step]] = []
    for url in (emulator, sandbox.url):
        provider = Provider(url)
        steps.append(list(run_steps(provider)))
        provider.close()
    emulator_steps, sandbox_steps = steps
    assert [name for name, _ in emulator_steps] == [name for name, _ in sandbox_steps]
    differing = {
        name: (expected, actual)
        for (name, expected), (_, actual) in zip(emulator_steps, sandbox_steps, strict=True)
        if expected != actual
    }
    unexpected = {name: responses for name, responses in differing.items() if name not in DIFFERENCES}
    assert not unexpected, f"responses of the emulator and of the sandbox: {unexpected}"
    assert not DIFFERENCES.keys() - differing.keys(), "listed differences that do not occur"
