"""Opening hours of partners, set by admins."""

from collections.abc import Collection
from dataclasses import replace

from services.partners.domain.opening_hours import OpeningHours, check_time_zone
from services.partners.domain.partners import Partner
from services.partners.usecases.partners import lock_partner, save_partner
from services.partners.usecases.ports import Repository
from services.runtime.core.clock import Clock
from services.runtime.core.preconditions import check_version
from services.runtime.core.principal import Principal, require_role


async def set_opening_hours(
    repository: Repository,
    clock: Clock,
    principal: Principal,
    partner_id: int,
    expected: Collection[int] | None,
    opening_hours: OpeningHours,
) -> Partner:
    """Set the opening hours of a partner, if it has one of the expected versions; None matches any.

    Raises ApiError: PARTNER_NOT_FOUND, PRECONDITION_FAILED, TIME_ZONE_UNKNOWN.
    """
    require_role(principal, "admin")
    check_time_zone(opening_hours.time_zone)
    async with repository.unit_of_work() as unit:
        partner = await lock_partner(unit, partner_id)
        check_version(expected, partner.version)
        return await save_partner(unit, clock, partner, replace(partner, opening_hours=opening_hours))


async def remove_opening_hours(repository: Repository, clock: Clock, principal: Principal, partner_id: int) -> None:
    """Remove the opening hours of a partner, which is then always open.

    Raises ApiError: PARTNER_NOT_FOUND.
    """
    require_role(principal, "admin")
    async with repository.unit_of_work() as unit:
        partner = await lock_partner(unit, partner_id)
        await save_partner(unit, clock, partner, replace(partner, opening_hours=None))
