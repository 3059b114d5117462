"""Ten thousand events, some of them twice, through kills of the process: none is lost, none is shown twice."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.fixtures.notification_burst import create_burst, run_service_process, run_with_kills
from tests.integration.fixtures.notifications import build_notification_request, wait_until
from tests.integration.fixtures.servers import Servers


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [(), (0.2, 0.5, 0.8)])
async def test_nothing_is_lost_and_nothing_doubled(
    servers: Servers, tmp_path: Path, kills: tuple[float, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    async with run_service_process(servers, tmp_path) as (process, service):
        made = await create_burst(service, user_count=50, events_per_user=200)
        spent = await run_with_kills(process, made, kills, 300)
        await made.assert_all_delivered()
    with capsys.disabled():
        rate = len(made.events) / spent
        print(f"\n{len(made.events)} notifications in {spent:.0f} s with {len(kills)} kills: {rate:.0f} a second")


@pytest.mark.timeout(600)
async def test_an_urgent_one_goes_out_within_a_second_though_ten_thousand_wait_in_the_broker(
    servers: Servers, tmp_path: Path
) -> None:
    async with run_service_process(servers, tmp_path) as (_, service):
        made = await create_burst(service, user_count=10, events_per_user=1000)
        user = await service.create_user(f"phone-{secrets.token_hex(8)}")
        await made.publish()
        published = datetime.now(UTC)
        [event] = await service.publish(build_notification_request(user, "alerts", "Now"))
        outcome = await service.wait_for_notification(user, event)
        waiting = await service.count_messages("notifications.requested")
        await wait_until(made.is_finished, 300, 0.2)
        await made.assert_all_delivered()
    assert outcome.sent_at is not None
    assert outcome.sent_at - published < timedelta(seconds=1)
    assert waiting > 5000
