"""A burst of ten thousand notifications, followed by an urgent one."""

import asyncio
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from bench.paths import PORT_OFFSET, STATE_DIR
from bench.results import Row, create_informational_row, require_at_most
from tests.integration.fixtures.notification_burst import create_burst, run_service_process
from tests.integration.fixtures.notifications import build_notification_request
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

USER_COUNT, NOTIFICATIONS_PER_USER = 50, 200
TIMEOUT_S = 400


async def measure_burst(servers: Servers, folder: Path) -> tuple[float, float]:
    """Return the seconds until the urgent notification is sent, and until all are.

    Raises AssertionError if a notification is lost.
    """
    async with run_service_process(servers, folder) as (_, service):
        burst = await create_burst(service, USER_COUNT, NOTIFICATIONS_PER_USER)
        user = await service.create_user(f"phone-{secrets.token_hex(8)}")
        started_at = time.monotonic()
        await burst.publish()
        published_at = time.time()
        [event] = await service.publish(build_notification_request(user, "alerts", "Now"))
        outcome = await service.wait_for_notification(user, event)
        if outcome.sent_at is None:
            raise AssertionError("the urgent notification was not sent")
        await wait_until_async(burst.is_finished, TIMEOUT_S, 0.2)
        duration_s = time.monotonic() - started_at
        await burst.assert_all_delivered()
    return outcome.sent_at.timestamp() - published_at, duration_s


def run(repeats: int) -> list[Row]:
    """Measure on separate servers, with the emulated providers of the sandbox."""
    folder = STATE_DIR.with_name("bench-burst")
    shutil.rmtree(folder, ignore_errors=True)
    servers = Servers(folder, PORT_OFFSET + 1500)
    completed = servers.run("up", "--only", "servers")
    if completed.returncode:
        raise RuntimeError(completed.stdout + completed.stderr)
    try:
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as sockets:
                runs.append(asyncio.run(measure_burst(servers, Path(sockets))))
            print(".", end="", flush=True)
        print(flush=True)
    finally:
        servers.run("down")
    count = f"{USER_COUNT * NOTIFICATIONS_PER_USER:,}"
    return [
        require_at_most(
            f"notifications: latency of an urgent one behind {count} others", 1, [urgent for urgent, _ in runs], "s"
        ),
        create_informational_row(
            f"notifications: time to send {count}, each exactly once", [duration_s for _, duration_s in runs], "s"
        ),
    ]
