"""Emulated devices: received notifications, and their replacement."""

from typing import Any

import httpx
import pytest

from services.sandbox.push.devices import Devices
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase
from tests.unit.sandbox.components import create_client


@pytest.fixture
def devices(database: SqliteDatabase, renderer: PageRenderer) -> Devices:
    return Devices(database, renderer)


async def list_messages(devices: Devices, device: str = "phone") -> list[dict[str, Any]]:
    response: httpx.Response = await create_client(devices).get(f"/devices/{device}/messages")
    messages: list[dict[str, Any]] = response.json()
    return messages


def deliver(devices: Devices, title: str, collapse_id: str | None = None, device: str = "phone") -> None:
    devices.deliver(device, f"projects/p/messages/{title}", title, "Body", {"n": title}, collapse_id)


async def test_notifications_are_listed_oldest_first(devices: Devices) -> None:
    for title in ("a", "b"):
        deliver(devices, title)
    messages = await list_messages(devices)
    assert [(each["id"], each["title"], each["data"], each["times_received"]) for each in messages] == [
        ("a", "a", {"n": "a"}, 1),
        ("b", "b", {"n": "b"}, 1),
    ]


async def test_notification_with_same_collapse_id_replaces_the_earlier(devices: Devices) -> None:
    deliver(devices, "paid", "o1")
    deliver(devices, "other", "o2")
    deliver(devices, "ready", "o1")
    messages = await list_messages(devices)
    assert [(each["title"], each["times_received"]) for each in messages] == [("other", 1), ("ready", 2)]


@pytest.mark.parametrize("collapse_id", [None, ""])
async def test_notifications_without_collapse_id_are_all_shown(devices: Devices, collapse_id: str | None) -> None:
    for title in ("a", "b"):
        deliver(devices, title, collapse_id)
    assert len(await list_messages(devices)) == 2


async def test_same_collapse_id_on_another_device_is_independent(devices: Devices) -> None:
    deliver(devices, "a", "o1", "phone")
    deliver(devices, "b", "o1", "tablet")
    assert [each["title"] for each in await list_messages(devices, "phone")] == ["a"]
    assert [each["title"] for each in await list_messages(devices, "tablet")] == ["b"]


async def test_unknown_device_has_no_notifications(devices: Devices) -> None:
    assert await list_messages(devices, "missing") == []


async def test_page_shows_devices_and_escaped_notifications(devices: Devices) -> None:
    deliver(devices, "<b>paid</b>")
    client = create_client(devices)
    assert 'href="/devices?token=phone"' in (await client.get("/devices")).text
    page = (await client.get("/devices", params={"token": "phone"})).text
    assert "&lt;b&gt;paid&lt;/b&gt;" in page
