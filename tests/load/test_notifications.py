"""Ten thousand events, some of them twice, through kills of the process: none is lost, none is shown twice."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.notifications_flood import beside, flood, survive
from tests.integration.notifications_service import request, until
from tests.integration.servers import Servers


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [(), (0.2, 0.5, 0.8)])
async def test_nothing_is_lost_and_nothing_doubled(
    servers: Servers, tmp_path: Path, kills: tuple[float, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    async with beside(servers, tmp_path) as (process, service):
        made = await flood(service, people=50, each=200)
        spent = await survive(process, made, kills, 300)
        await made.look()
    with capsys.disabled():
        rate = len(made.events) / spent
        print(f"\n{len(made.events)} notifications in {spent:.0f} s with {len(kills)} kills: {rate:.0f} a second")


@pytest.mark.timeout(600)
async def test_an_urgent_one_goes_out_within_a_second_though_ten_thousand_wait_in_the_broker(
    servers: Servers, tmp_path: Path
) -> None:
    async with beside(servers, tmp_path) as (_, service):
        made = await flood(service, people=10, each=1000)
        user = await service.person(f"phone-{secrets.token_hex(8)}")
        await made.publish()
        published = datetime.now(UTC)
        [event] = await service.publish(request(user, "alerts", "Now"))
        outcome = await service.outcome(user, event)
        waiting = await service.waiting("notifications.requested")
        await until(made.over, 300, 0.2)
        await made.look()
    assert outcome.sent_at is not None
    assert outcome.sent_at - published < timedelta(seconds=1)
    assert waiting > 5000
