"""Emulated devices, which receive push notifications."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.http_helpers import create_json_response
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase, format_now


class DeviceMessage(msgspec.Struct, frozen=True):
    """A notification on a device."""

    id: str
    title: str
    body: str
    data: dict[str, str]
    received_at: str
    times_received: int
    """Number of received messages with the same tag or collapse id; the last one replaced the others."""


class Devices:
    """All devices, by registration token."""

    def __init__(self, database: SqliteDatabase, renderer: PageRenderer) -> None:
        self._database = database
        self._renderer = renderer

    def build_routes(self) -> list[Route]:
        """Return the routes of the devices, as JSON and as a page."""
        return [
            Route("/devices", self.show_device_page, methods=["GET"]),
            Route("/devices/{token}/messages", self.list_messages, methods=["GET"]),
        ]

    def deliver(
        self, token: str, message_name: str, title: str, body: str, data: dict[str, str], collapse_id: str | None
    ) -> None:
        """Deliver a message, which replaces the one with the same `collapse_id`."""
        self._database.insert(
            "messages",
            name=message_name,
            token=token,
            collapse=collapse_id or None,
            title=title,
            body=body,
            data=msgspec.json.encode(data).decode(),
            received_at=format_now(),
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
        """Return the notifications on a device, oldest first."""
        return create_json_response(self._load_messages(request.path_params["token"]))

    async def show_device_page(self, request: Request) -> Response:
        """Show the notifications on a device, and the devices that have any."""
        token = request.query_params.get("token", "")
        devices = self._database.fetch_all(
            "SELECT token, count(DISTINCT coalesce(collapse, id)) AS messages FROM messages"
            " GROUP BY token ORDER BY max(id) DESC LIMIT 100"
        )
        messages = self._load_messages(token)[-100:][::-1]
        return self._renderer.render("device.html", token=token, messages=messages, devices=devices)
