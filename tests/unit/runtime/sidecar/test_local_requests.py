"""Denial of requests that pages of other sites cause."""

from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from services.runtime.sidecar.local_requests import LocalRequestsMiddleware, is_local_host


async def request(method: str = "GET", **headers: str) -> int:
    """Return the status of a request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)

    transport = httpx.ASGITransport(LocalRequestsMiddleware(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8090") as client:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.request(method, "/", headers=names)).status_code


@pytest.mark.parametrize(
    ("authority", "is_local"),
    [
        ("localhost", True),
        ("localhost:8090", True),
        ("shop.localhost", True),
        ("127.0.0.1:8090", True),
        ("192.0.2.7", True),
        ("[::1]:8090", True),
        ("sandbox:8090", True),
        ("evil.example", False),
        ("evil.example:8090", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example@localhost", True),
        ("localhost@evil.example", False),
        ("[", False),
        ("", False),
    ],
)
def test_host_that_no_site_can_have_is_local(authority: str, is_local: bool) -> None:
    assert is_local_host(authority) == is_local


async def test_request_for_a_foreign_host_is_denied() -> None:
    assert await request(host="evil.example") == 403
    assert await request() == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_cross_site_request_is_denied(method: str) -> None:
    assert await request(method, sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    for site in ("same-origin", "same-site", "none"):
        assert await request(method, sec_fetch_site=site, origin="null") == 200


async def test_link_of_another_site_is_followed() -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert await request(**link) == 200
    assert await request("POST", **link) == 403
    assert await request(**link | {"sec_fetch_dest": "iframe"}) == 403


async def test_foreign_origin_is_denied_without_fetch_metadata() -> None:
    for origin in ("https://evil.example", "null", "https://localhost.evil.example"):
        assert await request("POST", origin=origin) == 403
    assert await request("POST", origin="http://localhost:5173") == 200


async def test_other_connections_are_passed_on() -> None:
    scopes: list[Any] = []

    async def record(scope: Any, _receive: Any, _send: Any) -> None:
        scopes.append(scope)

    connection: Any = None
    await LocalRequestsMiddleware(record)({"type": "lifespan"}, connection, connection)
    assert scopes == [{"type": "lifespan"}]
