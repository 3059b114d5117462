"""Hundreds of events at once, some of them twice, and a process that is killed amid them; `make load` has thousands."""

from pathlib import Path

import pytest

from tests.integration.notifications_flood import beside, flood, survive
from tests.integration.servers import Servers


@pytest.mark.timeout(100)
async def test_nothing_is_lost_and_nothing_doubled_when_the_process_is_killed(servers: Servers, tmp_path: Path) -> None:
    async with beside(servers, tmp_path) as (process, service):
        made = await flood(service, people=10, each=30)
        await survive(process, made, (0.3,), 80)
        await made.look()
