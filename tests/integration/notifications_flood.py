"""Many events at once at notifications in a process of its own, which is killed amid them; and what must come of it."""

import asyncio
import contextlib
import itertools
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from deploy.local.state import ROOT
from services.notifications.domain.notifications import Status
from services.notifications.usecases.ports import Wanted
from services.runtime import migrations
from tests.integration.notifications_service import Service, envelope, request, until
from tests.integration.servers import Servers

BATCH = 500
"""Events published at once."""

CLAIM_SECONDS = "3"
"""How long what a killed process was sending waits for the next one."""


class Process:
    """The service as it runs in production, but for the sidecar."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns at once."""
        command = (sys.executable, "-m", "services.notifications", "serve")
        self._running = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=self._environment)

    @property
    def pid(self) -> int:
        """The running one's."""
        assert self._running is not None
        return self._running.pid

    async def kill(self) -> None:
        """As a process ends that nobody asks."""
        assert self._running is not None
        self._running.kill()
        await self._running.wait()

    async def stop(self) -> None:
        """As a process ends that is asked to. Raises when it ended by an error."""
        assert self._running is not None
        self._running.terminate()
        assert await self._running.wait() == 0


@contextlib.asynccontextmanager
async def beside(servers: Servers, folder: Path, **told: str) -> AsyncIterator[tuple[Process, Service]]:
    """The process, started, and its stores; `told` are settings of its own."""
    own = {"SERVICE_SOCKET": str(folder / "n.sock"), "CLAIM_SECONDS": CLAIM_SECONDS, "FALLBACK_SECONDS": "60"}
    environment = os.environ | servers.settings("notifications") | own | told
    environment.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)  # nobody collects traces here
    migrations.migrate("notifications", environment["DATABASE_URL"])
    process = Process(environment)
    async with Service(servers) as service:
        await process.start()
        try:
            await until(lambda: _exists(folder / "n.sock"), 60)
            yield process, service
        finally:
            await process.stop()


async def _exists(path: Path) -> bool:
    return path.exists()


class Flood:
    """Events for several people, each of whom has one phone of one kind or the other."""

    def __init__(self, service: Service, people: Mapping[str, str], each: int) -> None:
        self.service = service
        self.phones = people
        self.events = [(user, envelope(request(user, "news"))) for _ in range(each) for user in people]

    async def publish(self) -> None:
        """All of them, and a tenth twice."""
        async with self.service.broker.channel() as channel:
            for batch in itertools.batched((made for _, made in self.events), BATCH, strict=False):
                await channel.publish_all([*batch, *batch[: BATCH // 10]])

    async def over(self) -> bool:
        """Whether nothing is left to do."""
        return await self.through() == len(self.events)

    async def through(self) -> int:
        """How many have been taken in, and are on their way no longer."""
        async with self.service.database.connection() as transaction:
            cursor = await transaction.connection.execute(
                "SELECT (SELECT count(*) FROM inbox WHERE queue = 'notifications.requested' AND event_id = ANY(%s))"
                " - (SELECT count(*) FROM outgoing WHERE user_id = ANY(%s)) AS many",
                ([made.id for _, made in self.events], list(self.phones)),
            )
            row = await cursor.fetchone()
        return int(row["many"]) if row else 0

    async def look(self) -> None:
        """Everything is there: sent according to the history, and on the phone exactly once."""
        for user, phone in self.phones.items():
            wanted = [made.id for of, made in self.events if of == user]
            shown = Counter(one["data"]["notification_id"] for one in await self.service.shown(phone))
            wrong = {one: shown[one] for one in {*wanted, *shown} if shown[one] != 1}
            assert not wrong, wrong
            kept = await self.service.history.find(Wanted(user_id=user), len(wanted) + 1, None, mails=True)
            assert sorted(one.id for one in kept) == sorted(wanted)
            assert {one.status for one in kept} == {Status.SENT}


async def flood(service: Service, people: int, each: int) -> Flood:
    """Makes the people, whose events are known then."""
    phones = [secrets.token_hex(32) if i % 2 else f"phone-{secrets.token_hex(8)}" for i in range(people)]
    return Flood(service, {await service.person(phone): phone for phone in phones}, each)


async def survive(process: Process, made: Flood, kills: Sequence[float], seconds: float) -> float:
    """Publishes, kills the process whenever that share of the events is through, and waits for the rest.

    Returns how long it took, in seconds.
    """
    started = time.monotonic()
    await made.publish()
    for share in kills:

        async def through(share: float = share) -> bool:
            return await made.through() >= share * len(made.events)

        await until(through, seconds, 0.2)
        await process.kill()
        await process.start()
    await until(made.over, seconds, 0.2)
    return time.monotonic() - started
