"""Delivery of ten thousand events with duplicates, while the process is killed repeatedly."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.fixtures.notification_burst import create_burst, run_service_process, run_with_kills
from tests.integration.fixtures.notifications import build_notification_request
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kill_shares", [(), (0.2, 0.5, 0.8)])
async def test_no_notification_is_lost_or_duplicated_under_load(
    servers: Servers, tmp_path: Path, kill_shares: tuple[float, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    async with run_service_process(servers, tmp_path) as (process, harness):
        burst = await create_burst(harness, user_count=50, events_per_user=200)
        duration_s = await run_with_kills(process, burst, kill_shares, 300)
        await burst.assert_all_delivered()
    with capsys.disabled():
        rate = len(burst.events) / duration_s
        summary = f"{len(burst.events)} notifications in {duration_s:.0f} s with {len(kill_shares)} kills"
        print(f"\n{summary}: {rate:.0f} per second")


@pytest.mark.timeout(600)
async def test_urgent_request_is_sent_within_a_second_under_load(servers: Servers, tmp_path: Path) -> None:
    async with run_service_process(servers, tmp_path) as (_, harness):
        burst = await create_burst(harness, user_count=10, events_per_user=1000)
        user = await harness.create_user(f"phone-{secrets.token_hex(8)}")
        await burst.publish()
        published = datetime.now(UTC)
        [event] = await harness.publish(build_notification_request(user, "alerts", "Now"))
        notification = await harness.wait_for_notification(user, event)
        pending = await harness.count_messages("notifications.requested")
        await wait_until_async(burst.is_finished, 300, 0.2)
        await burst.assert_all_delivered()
    assert notification.sent_at is not None
    assert notification.sent_at - published < timedelta(seconds=1)
    assert pending > 5000
