"""Published events whose queues exist, are missing, or cannot be checked."""

import math
import time
from typing import NamedTuple

import pytest

from generated.events import ORDER_CREATED, PAYMENT_RECORDED, USER_DELETED
from services.runtime.messaging.channel import BrokerUnavailable
from services.runtime.messaging.routing_check import CHECK_INTERVAL_S, RoutingCheck
from services.runtime.messaging.topology import RESTORE_DELAY_S, QueueMissing

MISSING, CREATED_QUEUE = "orders.payments", "orders.history"


class FakeEvent(NamedTuple):
    """Published event."""

    type: str


CREATED, PAID, DELETED = (FakeEvent(event.type) for event in (ORDER_CREATED, PAYMENT_RECORDED, USER_DELETED))


class FakeChannel:
    """Channel without the missing queues; `error` is raised for every queue."""

    def __init__(self, *missing: str, error: Exception | None = None) -> None:
        self.missing = missing
        self.error = error
        self.checked: list[str] = []

    async def count_messages(self, queue: str) -> int:
        if self.error is not None:
            raise self.error
        if queue in self.missing:
            raise QueueMissing(queue)
        self.checked.append(queue)
        return 0


@pytest.fixture
def check() -> RoutingCheck[FakeEvent]:
    return RoutingCheck()


async def test_each_queue_of_published_events_is_checked_once(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID, PAID, DELETED])
    channel = FakeChannel()
    assert await check.find_missing_queue(channel) is None
    assert channel.checked == sorted({*PAYMENT_RECORDED.queues, *USER_DELETED.queues})
    assert check.seconds_until_due == math.inf
    assert check.unrouted == []


async def test_events_with_missing_or_unchecked_queue_are_unrouted(check: RoutingCheck[FakeEvent]) -> None:
    check.add([CREATED, PAID, DELETED])
    assert ORDER_CREATED.queues == (CREATED_QUEUE,)
    assert CREATED_QUEUE < MISSING
    assert max(USER_DELETED.queues) > MISSING
    assert await check.find_missing_queue(FakeChannel(MISSING)) == MISSING
    assert check.unrouted == [PAID, DELETED]


async def test_missing_queue_is_checked_until_it_exists(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID])
    assert await check.find_missing_queue(FakeChannel(MISSING)) == MISSING
    check.unrouted.clear()
    assert await check.find_missing_queue(FakeChannel(MISSING)) == MISSING
    channel = FakeChannel()
    assert await check.find_missing_queue(channel) is None
    assert channel.checked == [MISSING]
    assert await check.find_missing_queue(channel) is None
    assert channel.checked == [MISSING], "a queue that exists again is checked after the next event only"


async def test_event_confirmed_while_queue_is_missing_is_unrouted(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID])
    await check.find_missing_queue(FakeChannel(MISSING))
    check.add([DELETED])
    assert check.unrouted == [PAID, DELETED]


async def test_events_remain_unchecked_when_the_connection_is_lost(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID])
    with pytest.raises(BrokerUnavailable):
        await check.find_missing_queue(FakeChannel(error=BrokerUnavailable("lost")))
    assert await check.find_missing_queue(FakeChannel(MISSING)) == MISSING
    assert check.unrouted == [PAID]


async def test_checks_are_limited_to_one_per_interval(
    check: RoutingCheck[FakeEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for _ in range(2):
        check.add([PAID])
        assert (check.seconds_until_due, check.is_due) == (CHECK_INTERVAL_S, False)
        clock[0] += CHECK_INTERVAL_S / 4
        check.add([PAID])
        assert check.seconds_until_due == CHECK_INTERVAL_S * 3 / 4
        clock[0] += CHECK_INTERVAL_S
        assert check.is_due
        await check.find_missing_queue(FakeChannel())
        assert not check.is_due


def test_missing_queue_is_declared_after_several_checks() -> None:
    assert RESTORE_DELAY_S >= 3 * CHECK_INTERVAL_S
