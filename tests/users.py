"""People who use the platform through the edge: each signs up for itself, reads its mail and speaks with its token."""

import io
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
from PIL import Image

PASSWORD = "a-long-enough-one"
TIMEOUT_S = 15.0


def wait_until[T](description: str, probe: Callable[[], T | None]) -> T:
    """What the probe finds, as soon as it does. Raises AssertionError when patience ends."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := probe()):
        assert time.monotonic() < deadline, f"waited in vain until {description}"
        time.sleep(0.02)
    return found


def create_image(image_format: str = "PNG", size: tuple[int, int] = (640, 480), colour: str = "orange") -> bytes:
    """A plain picture."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, image_format)
    return out.getvalue()


class User:
    """One account. `edge` is a client whose base is `/api/v1`."""

    def __init__(self, edge: httpx.Client, sandbox: httpx.Client, role: str = "customer", **profile: Any) -> None:
        self._edge = edge
        self._sandbox = sandbox
        self.email = f"{role}-{secrets.token_hex(6)}@delivery.test"
        self.password = PASSWORD
        body = {"first_name": "Ada", "last_name": "Byron", "role": role, **profile}
        answer = edge.post("/users", json={"email": self.email, "password": PASSWORD, **body})
        assert answer.status_code == 201, answer.text
        self.profile: dict[str, Any] = answer.json()
        self.id: str = self.profile["id"]
        self.session: dict[str, Any] = {}

    def sign_in(self) -> "User":
        answer = self._edge.post("/sessions", json={"email": self.email, "password": self.password})
        assert answer.status_code == 200, answer.text
        self.session = answer.json()
        return self

    def refresh(self) -> httpx.Response:
        answer = self._edge.post("/sessions/refresh", json={"refresh_token": self.session["refresh_token"]})
        if answer.is_success:
            self.session = answer.json()
        return answer

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request with the person's token."""
        headers = {"authorization": f"Bearer {self.session['access_token']}", **options.pop("headers", {})}
        return self._edge.request(method, path, headers=headers, **options)

    def list_mails(self, address: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._sandbox.get(f"/mailbox/{address or self.email}").json()
        return found

    def wait_for_code(self, mail_number: int = 1, address: str | None = None) -> str:
        """The code of the address's mail of that number, counted from 1; waits for it."""
        mails = wait_until(
            f"mail {mail_number} arrives", lambda: self.list_mails(address)[mail_number - 1 : mail_number]
        )
        return str(mails[0]["code"])

    def confirm(self, code: str) -> httpx.Response:
        return self._edge.post("/users/confirm", json={"code": code})
