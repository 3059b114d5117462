"""Burst of hundreds of events with duplicates and a killed process; `make test-load` runs thousands."""

from pathlib import Path

import pytest

from tests.integration.fixtures.notification_burst import create_burst, run_service_process, run_with_kills
from tests.integration.fixtures.servers import Servers


@pytest.mark.timeout(100)
async def test_killed_process_neither_loses_nor_repeats_notifications(servers: Servers, tmp_path: Path) -> None:
    async with run_service_process(servers, tmp_path) as (process, harness):
        burst = await create_burst(harness, user_count=10, events_per_user=30)
        await run_with_kills(process, burst, (0.3,), 80)
        await burst.assert_all_delivered()
