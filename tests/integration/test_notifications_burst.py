"""Hundreds of events at once, some of them twice, and a process that is killed amid them; `make load` has thousands."""

from pathlib import Path

import pytest

from tests.integration.fixtures.notification_burst import create_burst, run_service_process, run_with_kills
from tests.integration.fixtures.servers import Servers


@pytest.mark.timeout(100)
async def test_nothing_is_lost_and_nothing_doubled_when_the_process_is_killed(servers: Servers, tmp_path: Path) -> None:
    async with run_service_process(servers, tmp_path) as (process, service):
        made = await create_burst(service, user_count=10, events_per_user=30)
        await run_with_kills(process, made, (0.3,), 80)
        await made.assert_all_delivered()
