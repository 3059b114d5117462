"""Fixtures: the sandbox as a process, and a receiver for callbacks of its banks and partners."""

import os
import re
import secrets
import signal
import subprocess
import sys
import threading
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

from services.runtime.outbound.webhook_secrets import generate_secret
from tests.free_ports import find_free_port
from tests.openapi_core_contract import OpenApiCoreContract
from tests.wait import wait_until_process_is_ready

PROJECT = "delivery-local"
START_TIMEOUT_S = 20.0


@dataclass
class Sandbox:
    """A sandbox process, which can be killed and restarted on its stored state."""

    folder: Path
    secret: str = field(default_factory=generate_secret)
    port: int = field(default_factory=find_free_port)
    smtp_port: int = field(default_factory=find_free_port)
    apns_port: int = field(default_factory=find_free_port)
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
        try:
            wait_until_process_is_ready(self.process, f"{self.url}/healthz", START_TIMEOUT_S)
        except AssertionError:
            self.stop(signal.SIGKILL)
            raise

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(stop_signal)
        return self.process.wait(10)

    def sign(self, content: bytes, *, webhook_id: str | None = None, secret: str | None = None) -> dict[str, str]:
        """Return the headers of a signed request."""
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
    """One sandbox for all tests, which are isolated by unique ids."""
    process = Sandbox(tmp_path_factory.mktemp("sandbox"))
    (process.folder / "key.pem").write_bytes(signing_key)
    (process.folder / "apns.p8").write_bytes(apple_key)
    process.start()
    yield process
    assert process.stop() in (0, -signal.SIGTERM)


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, timeout=10, event_hooks={"response": [validate_contract]}) as client:
        yield client


CONTRACTS = {
    "payment-system": re.compile(r"/bank/[^/]+(/refunds)"),
    "partner-system": re.compile(r"/partner/[^/]+(/orders(?:/[^/]+/cancellation)?)"),
}
"""Paths of the sandbox by contract; the group is the path within the contract."""


def validate_contract(response: httpx.Response) -> None:
    """Assert that a response of a bank or partner is valid by its contract."""
    for name, path in CONTRACTS.items():
        match = path.fullmatch(response.request.url.path)
        if match and response.request.method == "POST":
            content = response.read()
            is_valid = OpenApiCoreContract(name).is_valid_response(match.group(1), response, content)
            assert is_valid, f"{name}: {response.status_code} {content[:200]!r}"


@dataclass
class CallbackReceiver:
    """Receives callbacks. Responds with `responses` in turn, then with 200."""

    url: str
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    responses: list[tuple[int, bytes]] = field(default_factory=list)


@pytest.fixture
def callback_receiver() -> Iterator[CallbackReceiver]:
    receiver: CallbackReceiver

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status, content = receiver.responses.pop(0) if receiver.responses else (200, b'{"ok":true}')
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Discard access log lines."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = CallbackReceiver(f"http://127.0.0.1:{server.server_port}/callback")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()
