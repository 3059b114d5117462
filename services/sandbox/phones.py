"""The phones that pushes arrive at."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.pages import Pages
from services.sandbox.store import Store, now_text
from services.sandbox.web import json_response


class Delivered(msgspec.Struct, frozen=True):
    """A message on a phone."""

    id: str
    title: str
    body: str
    data: dict[str, str]
    received_at: str
    times_received: int
    """How often it came; those before it had the same tag or collapse id, and it took their place."""


class Phones:
    """Every phone there is, Apple's and the others."""

    def __init__(self, store: Store, pages: Pages) -> None:
        self._store = store
        self._pages = pages

    def routes(self) -> list[Route]:
        """The phones as JSON and as pages."""
        return [
            Route("/devices", self.page, methods=["GET"]),
            Route("/devices/{token}/messages", self.messages, methods=["GET"]),
        ]

    def show(self, token: str, name: str, title: str, body: str, data: dict[str, str], collapse: str | None) -> None:
        """Shows a message, in place of the one that has the same `collapse`."""
        self._store.insert(
            "messages",
            name=name,
            token=token,
            collapse=collapse or None,
            title=title,
            body=body,
            data=msgspec.json.encode(data).decode(),
            received_at=now_text(),
        )

    def _delivered(self, token: str) -> list[Delivered]:
        rows = self._store.all(
            "SELECT name, title, body, data, received_at, max(id) AS last, count(*) AS times FROM messages"
            " WHERE token = ? GROUP BY coalesce(collapse, id) ORDER BY last",
            token,
        )
        return [
            Delivered(
                row["name"].rpartition("/")[2],
                row["title"],
                row["body"],
                msgspec.json.decode(row["data"]),
                row["received_at"],
                row["times"],
            )
            for row in rows
        ]

    async def messages(self, request: Request) -> Response:
        """What the phone shows, oldest first."""
        return json_response(self._delivered(request.path_params["token"]))

    async def page(self, request: Request) -> Response:
        """A phone, or which phones have messages."""
        token = request.query_params.get("token", "")
        phones = self._store.all(
            "SELECT token, count(DISTINCT coalesce(collapse, id)) AS messages FROM messages"
            " GROUP BY token ORDER BY max(id) DESC LIMIT 100"
        )
        messages = self._delivered(token)[-100:][::-1]
        return self._pages.render("phone.html", token=token, messages=messages, phones=phones)
