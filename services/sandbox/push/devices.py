"""The phones that pushes arrive at."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.http_helpers import json_response
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase, now_rfc3339


class DeviceMessage(msgspec.Struct, frozen=True):
    """A message on a phone."""

    id: str
    title: str
    body: str
    data: dict[str, str]
    received_at: str
    times_received: int
    """How often it came; those before it had the same tag or collapse id, and it took their place."""


class Devices:
    """Every phone there is, Apple's and the others."""

    def __init__(self, database: SqliteDatabase, renderer: PageRenderer) -> None:
        self._database = database
        self._renderer = renderer

    def routes(self) -> list[Route]:
        """The phones as JSON and as pages."""
        return [
            Route("/devices", self.show_device_page, methods=["GET"]),
            Route("/devices/{token}/messages", self.list_messages, methods=["GET"]),
        ]

    def deliver(
        self, token: str, message_name: str, title: str, body: str, data: dict[str, str], collapse_id: str | None
    ) -> None:
        """Shows a message, in place of the one that has the same `collapse`."""
        self._database.insert(
            "messages",
            name=message_name,
            token=token,
            collapse=collapse_id or None,
            title=title,
            body=body,
            data=msgspec.json.encode(data).decode(),
            received_at=now_rfc3339(),
        )

    def _load_messages(self, token: str) -> list[DeviceMessage]:
        rows = self._database.fetch_all(
            "SELECT name, title, body, data, received_at, max(id) AS last, count(*) AS times FROM messages"
            " WHERE token = ? GROUP BY coalesce(collapse, id) ORDER BY last",
            token,
        )
        return [
            DeviceMessage(
                row["name"].rpartition("/")[2],
                row["title"],
                row["body"],
                msgspec.json.decode(row["data"]),
                row["received_at"],
                row["times"],
            )
            for row in rows
        ]

    async def list_messages(self, request: Request) -> Response:
        """What the phone shows, oldest first."""
        return json_response(self._load_messages(request.path_params["token"]))

    async def show_device_page(self, request: Request) -> Response:
        """A phone, or which phones have messages."""
        token = request.query_params.get("token", "")
        phones = self._database.fetch_all(
            "SELECT token, count(DISTINCT coalesce(collapse, id)) AS messages FROM messages"
            " GROUP BY token ORDER BY max(id) DESC LIMIT 100"
        )
        messages = self._load_messages(token)[-100:][::-1]
        return self._renderer.render("phone.html", token=token, messages=messages, phones=phones)
