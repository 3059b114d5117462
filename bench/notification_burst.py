"""Ten thousand notifications at once, and an urgent one that comes last."""

import asyncio
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from bench.paths import PORT_OFFSET, STATE_DIR
from bench.results import Row, informational, require_at_most
from tests.integration.fixtures.background_tasks import wait_until
from tests.integration.fixtures.notification_burst import create_burst, run_service_process
from tests.integration.fixtures.notifications import build_notification_request
from tests.integration.fixtures.servers import Servers

USER_COUNT, NOTIFICATIONS_PER_USER = 50, 200
TIMEOUT_S = 400


async def measure_burst(servers: Servers, folder: Path) -> tuple[float, float]:
    """Seconds from publishing until the urgent one is sent, and until all are. Raises AssertionError for any lost."""
    async with run_service_process(servers, folder) as (_, service):
        made = await create_burst(service, USER_COUNT, NOTIFICATIONS_PER_USER)
        user = await service.create_user(f"phone-{secrets.token_hex(8)}")
        began = time.monotonic()
        await made.publish()
        asked = time.time()
        [event] = await service.publish(build_notification_request(user, "alerts", "Now"))
        outcome = await service.wait_for_notification(user, event)
        if outcome.sent_at is None:
            raise AssertionError("the urgent one was not sent")
        await wait_until(made.is_finished, TIMEOUT_S, 0.2)
        took = time.monotonic() - began
        await made.assert_all_delivered()
    return outcome.sent_at.timestamp() - asked, took


def run(repeats: int) -> list[Row]:
    """On servers of its own; providers are the sandbox's."""
    folder = STATE_DIR.with_name("bench-flood")
    shutil.rmtree(folder, ignore_errors=True)
    servers = Servers(folder, PORT_OFFSET + 1500)
    done = servers.run("up", "--only", "servers")
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    try:
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as sockets:
                runs.append(asyncio.run(measure_burst(servers, Path(sockets))))
            print(".", end="", flush=True)
        print(flush=True)
    finally:
        servers.run("down")
    number = f"{USER_COUNT * NOTIFICATIONS_PER_USER:,}"
    return [
        require_at_most(
            f"notifications: an urgent one behind {number}, until it is sent", 1, [urgent for urgent, _ in runs], "s"
        ),
        informational(f"notifications: {number} sent, each once", [took for _, took in runs], "s"),
    ]
