"""Users of the public API: each signs up, reads its mail and sends requests with its token."""

import io
import secrets
import struct
import zlib
from collections.abc import Callable
from typing import Any

import httpx
from PIL import Image

from tests.wait import wait_until

PASSWORD = "a-long-enough-one"


def create_png_header(width: int, height: int) -> bytes:
    """Return a PNG with a size in its header and without pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def create_image(image_format: str = "PNG", size: tuple[int, int] = (640, 480), colour: str = "orange") -> bytes:
    """Return an image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, image_format)
    return file.getvalue()


class User:
    """A signed-up account. The base URL of `edge` ends with `/api/v1`."""

    def __init__(self, edge: httpx.Client, sandbox: httpx.Client, role: str = "customer", **profile: Any) -> None:
        self._edge = edge
        self._sandbox = sandbox
        self.email = f"{role}-{secrets.token_hex(6)}@delivery.test"
        self.password = PASSWORD
        body = {"first_name": "Ada", "last_name": "Byron", "role": role, **profile}
        response = edge.post("/users", json={"email": self.email, "password": PASSWORD, **body})
        assert response.status_code == 201, response.text
        self.profile: dict[str, Any] = response.json()
        self.id: str = self.profile["id"]
        self.session: dict[str, Any] = {}

    def sign_in(self) -> "User":
        response = self._edge.post("/sessions", json={"email": self.email, "password": self.password})
        assert response.status_code == 200, response.text
        self.session = response.json()
        return self

    def refresh(self) -> httpx.Response:
        response = self._edge.post("/sessions/refresh", json={"refresh_token": self.session["refresh_token"]})
        if response.is_success:
            self.session = response.json()
        return response

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request with the access token of the user."""
        headers = {"authorization": f"Bearer {self.session['access_token']}", **options.pop("headers", {})}
        return self._edge.request(method, path, headers=headers, **options)

    def list_mails(self, address: str | None = None) -> list[dict[str, Any]]:
        mails: list[dict[str, Any]] = self._sandbox.get(f"/mailbox/{address or self.email}").json()
        return mails

    def wait_for_code(self, mail_number: int = 1, address: str | None = None) -> str:
        """Wait for a mail with a code to the address, numbered from 1, and return the code in it."""
        codes = wait_until(
            lambda: [mail["code"] for mail in self.list_mails(address) if mail.get("code")][mail_number - 1 :],
            description=f"mail {mail_number} arrives",
        )
        return str(codes[0])

    def confirm(self, code: str) -> httpx.Response:
        return self._edge.post("/users/confirm", json={"code": code})


type SignUp = Callable[..., User]
"""Function that signs a user up, with a role and fields of the profile."""
