"""Opening hours of partners, set by admins."""

from dataclasses import replace
from datetime import time

from generated.problems import Reason
from services.partners.domain.opening_hours import OpeningHours, OpeningPeriod, Weekday
from services.partners.usecases import opening_hours
from tests.unit.fake_transactions import raises_reason
from tests.unit.partners.fakes import ADA, ADMIN, BOWL, FakeRepository

HOURS = OpeningHours("Europe/Berlin", (OpeningPeriod(Weekday.MONDAY, time(10), time(22)),))


async def test_opening_hours_are_set_and_removed_with_events() -> None:
    repository = FakeRepository(BOWL)
    for _ in range(2):
        partner = await opening_hours.set_opening_hours(repository, repository.clock, ADMIN, 1, None, HOURS)
        assert (partner.opening_hours, partner.version) == (HOURS, 2)
    for _ in range(2):
        await opening_hours.remove_opening_hours(repository, repository.clock, ADMIN, 1)
        assert repository.partners[1] == replace(BOWL, version=3)
    assert [event.subject for event in repository.events] == ["partner:1"] * 2


async def test_opening_hours_of_another_version_are_not_changed() -> None:
    repository = FakeRepository(BOWL)
    with raises_reason(Reason.PRECONDITION_FAILED):
        await opening_hours.set_opening_hours(repository, repository.clock, ADMIN, 1, [2], HOURS)
    assert repository.partners == {1: BOWL}


async def test_opening_hours_of_unknown_partner_raise() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.PARTNER_NOT_FOUND):
        await opening_hours.set_opening_hours(repository, repository.clock, ADMIN, 1, None, HOURS)
    with raises_reason(Reason.PARTNER_NOT_FOUND):
        await opening_hours.remove_opening_hours(repository, repository.clock, ADMIN, 1)


async def test_opening_hours_in_unknown_time_zone_raise() -> None:
    repository = FakeRepository(BOWL)
    with raises_reason(Reason.TIME_ZONE_UNKNOWN):
        hours = replace(HOURS, time_zone="Mars/Olympus")
        await opening_hours.set_opening_hours(repository, repository.clock, ADMIN, 1, None, hours)


async def test_opening_hours_set_by_customer_raise_forbidden() -> None:
    repository = FakeRepository(BOWL)
    with raises_reason(Reason.FORBIDDEN):
        await opening_hours.set_opening_hours(repository, repository.clock, ADA, 1, None, HOURS)
    with raises_reason(Reason.FORBIDDEN):
        await opening_hours.remove_opening_hours(repository, repository.clock, ADA, 1)
