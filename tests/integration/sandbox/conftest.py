"""The sandbox as a real process, and a shop for its banks and kitchens to call."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from standardwebhooks.webhooks import Webhook

from services.runtime.outbound.contract_validation import load_contract

PROJECT = "delivery-local"
STARTS_WITHIN = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_secret() -> str:
    return f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"


@dataclass
class Sandbox:
    """A sandbox that can be killed and started again on what it remembers."""

    folder: Path
    secret: str = field(default_factory=new_secret)
    port: int = field(default_factory=free_port)
    smtp_port: int = field(default_factory=free_port)
    apns_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "SANDBOX_PORT": str(self.port),
            "SMTP_PORT": str(self.smtp_port),
            "APNS_PORT": str(self.apns_port),
            "APNS_KEY_FILE": str(self.folder / "apns.p8"),
            "SANDBOX_STATE_DIR": str(self.folder / "state"),
            "SANDBOX_SIGNING_KEY_FILE": str(self.folder / "key.pem"),
            "SANDBOX_WEBHOOK_SECRET": self.secret,
            "SANDBOX_FAULT_DELAY_SECONDS": "0.3",
            "FIREBASE_PROJECT_ID": PROJECT,
        }
        self.process = subprocess.Popen([sys.executable, "-m", "services.sandbox", "serve"], env=environment)
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                httpx.get(f"{self.url}/healthz").raise_for_status()
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        self.stop(signal.SIGKILL)
        pytest.fail("the sandbox does not start")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(10)

    def signed(self, content: bytes, *, webhook_id: str | None = None, secret: str | None = None) -> dict[str, str]:
        """The headers of a signed request."""
        webhook_id = webhook_id or f"msg_{secrets.token_hex(8)}"
        now = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret or self.secret).sign(webhook_id, now, content.decode()),
        }


@pytest.fixture(scope="session")
def signing_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="session")
def apple_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory, signing_key: bytes, apple_key: bytes) -> Iterator[Sandbox]:
    """One for all tests, which keep apart by their own ids."""
    started = Sandbox(tmp_path_factory.mktemp("sandbox"))
    (started.folder / "key.pem").write_bytes(signing_key)
    (started.folder / "apns.p8").write_bytes(apple_key)
    started.start()
    yield started
    assert started.stop() in (0, -signal.SIGTERM)


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, timeout=10, event_hooks={"response": [held_to_its_contract]}) as client:
        yield client


CONTRACTS = {
    "payment-system": re.compile(r"/bank/[^/]+(/refunds)"),
    "partner-system": re.compile(r"/partner/[^/]+(/orders(?:/[^/]+/cancellation)?)"),
}
"""Whose part the sandbox plays at an address; the contract's path is what is grouped."""


def held_to_its_contract(answer: httpx.Response) -> None:
    """Whatever a bank or a kitchen of the sandbox answers to a test is an answer of its contract."""
    for name, path in CONTRACTS.items():
        played = path.fullmatch(answer.request.url.path)
        if played and answer.request.method == "POST":
            read, headers = answer.read(), {"content-type": "application/json", **answer.request.headers}
            known = load_contract(name).is_valid_response(played.group(1), headers, answer.request.read(), answer, read)
            assert known, f"{name}: {answer.status_code} {read[:200]!r}"


@dataclass
class Shop:
    """Takes callbacks; `answers` are given in turn, then 200."""

    url: str
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)


@pytest.fixture
def shop() -> Iterator[Shop]:
    taken: Shop

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status, answer = taken.answers.pop(0) if taken.answers else (200, b'{"ok":true}')
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        taken = Shop(f"http://127.0.0.1:{server.server_port}/callback")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield taken
        server.shutdown()
        thread.join()
