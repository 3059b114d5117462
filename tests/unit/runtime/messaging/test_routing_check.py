"""Published events whose queues exist, are missing, or cannot be checked."""

import math
import time
from typing import NamedTuple

import pytest

from generated.events import ORDER_CREATED, PAYMENT_RECORDED, USER_DELETED
from services.runtime.messaging.channel import BrokerUnavailable
from services.runtime.messaging.routing_check import CHECK_INTERVAL_S, RoutingCheck
from services.runtime.messaging.topology import RESTORE_DELAY_S, QueueMissing

MISSING = "orders.payments"


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
        self.open_count = 0

    async def open(self) -> "FakeChannel":
        self.open_count += 1
        return self

    def close(self) -> None:
        self.open_count -= 1

    async def count_messages(self, queue: str) -> int:
        if self.error is not None:
            raise self.error
        if queue in self.missing:
            self.close()
            raise QueueMissing(queue)
        self.checked.append(queue)
        return 0


@pytest.fixture
def check() -> RoutingCheck[FakeEvent]:
    return RoutingCheck()


async def test_each_queue_of_published_events_is_checked_once(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID, PAID, DELETED])
    channel = FakeChannel()
    assert await check.find_missing_queues(channel.open) == []
    assert channel.checked == sorted({*PAYMENT_RECORDED.queues, *USER_DELETED.queues})
    assert channel.open_count == 0
    assert check.seconds_until_due == math.inf
    assert (check.unrouted, check.held_types) == ([], [])


async def test_nothing_is_opened_without_queues_to_check(check: RoutingCheck[FakeEvent]) -> None:
    async def fail() -> FakeChannel:
        raise AssertionError

    assert await check.find_missing_queues(fail) == []


async def test_only_events_with_missing_queue_are_unrouted_and_held(check: RoutingCheck[FakeEvent]) -> None:
    check.add([CREATED, PAID, DELETED])
    channel = FakeChannel(MISSING)
    assert await check.find_missing_queues(channel.open) == [MISSING]
    assert channel.open_count == 0
    assert check.unrouted == [PAID]
    assert check.held_types == [PAID.type]


async def test_all_missing_queues_are_found(check: RoutingCheck[FakeEvent]) -> None:
    check.add([CREATED, PAID, DELETED])
    assert await check.find_missing_queues(FakeChannel(MISSING, "orders.users").open) == [MISSING, "orders.users"]
    assert check.unrouted == [PAID, DELETED]
    assert {*check.held_types} == {PAID.type, DELETED.type}


async def test_missing_queue_is_checked_until_it_exists(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID])
    assert await check.find_missing_queues(FakeChannel(MISSING).open) == [MISSING]
    check.unrouted.clear()
    assert check.seconds_until_due <= CHECK_INTERVAL_S
    assert await check.find_missing_queues(FakeChannel(MISSING).open) == [MISSING]
    channel = FakeChannel()
    for held_types in ([PAID.type], [], []):
        assert await check.find_missing_queues(channel.open) == []
        assert check.held_types == held_types
    assert channel.checked == [MISSING] * 2, "a queue that exists again is checked after the next event only"


async def test_queue_that_exists_once_between_checks_stays_held(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID])
    for channel in (FakeChannel(MISSING), FakeChannel(), FakeChannel(MISSING), FakeChannel()):
        await check.find_missing_queues(channel.open)
        assert check.held_types == [PAID.type]
    await check.find_missing_queues(FakeChannel().open)
    assert check.held_types == []


async def test_event_confirmed_while_its_queue_is_missing_is_unrouted(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID])
    await check.find_missing_queues(FakeChannel(MISSING).open)
    check.add([DELETED, PAID])
    assert check.unrouted == [PAID, PAID]


async def test_types_of_unroutable_events_are_held_until_checked(check: RoutingCheck[FakeEvent]) -> None:
    check.add_unroutable([PAID])
    assert check.held_types == [PAID.type]
    assert check.is_due
    assert await check.find_missing_queues(FakeChannel(MISSING).open) == [MISSING]
    assert check.unrouted == []
    for _ in range(2):
        assert await check.find_missing_queues(FakeChannel().open) == []
    assert (check.held_types, check.seconds_until_due) == ([], math.inf)


async def test_events_remain_unchecked_when_the_connection_is_lost(check: RoutingCheck[FakeEvent]) -> None:
    check.add([PAID])
    with pytest.raises(BrokerUnavailable):
        await check.find_missing_queues(FakeChannel(error=BrokerUnavailable("lost")).open)
    assert await check.find_missing_queues(FakeChannel(MISSING).open) == [MISSING]
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
        await check.find_missing_queues(FakeChannel().open)
        assert not check.is_due


def test_missing_queue_is_declared_after_several_checks() -> None:
    assert RESTORE_DELAY_S >= 3 * CHECK_INTERVAL_S
