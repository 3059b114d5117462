"""Ten thousand notifications at once, and an urgent one that comes last."""

import asyncio
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from bench.places import OFFSET, STATE
from bench.results import Row, at_most, plain
from tests.integration.notifications_flood import beside, flood
from tests.integration.notifications_service import request, until
from tests.integration.servers import Servers

PEOPLE, EACH = 50, 200
PATIENCE_S = 400


async def measure(servers: Servers, folder: Path) -> tuple[float, float]:
    """Seconds from publishing until the urgent one is sent, and until all are. Raises AssertionError for any lost."""
    async with beside(servers, folder) as (_, service):
        made = await flood(service, PEOPLE, EACH)
        user = await service.person(f"phone-{secrets.token_hex(8)}")
        began = time.monotonic()
        await made.publish()
        asked = time.time()
        [event] = await service.publish(request(user, "alerts", "Now"))
        outcome = await service.outcome(user, event)
        if outcome.sent_at is None:
            raise AssertionError("the urgent one was not sent")
        await until(made.over, PATIENCE_S, 0.2)
        took = time.monotonic() - began
        await made.look()
    return outcome.sent_at.timestamp() - asked, took


def run(repeats: int) -> list[Row]:
    """On servers of its own; providers are the sandbox's."""
    folder = STATE.with_name("bench-flood")
    shutil.rmtree(folder, ignore_errors=True)
    servers = Servers(folder, OFFSET + 1500)
    done = servers.run("up", "--only", "servers")
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    try:
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as sockets:
                runs.append(asyncio.run(measure(servers, Path(sockets))))
            print(".", end="", flush=True)
        print(flush=True)
    finally:
        servers.run("down")
    number = f"{PEOPLE * EACH:,}"
    return [
        at_most(
            f"notifications: an urgent one behind {number}, until it is sent", 1, [urgent for urgent, _ in runs], "s"
        ),
        plain(f"notifications: {number} sent, each once", [took for _, took in runs], "s"),
    ]
