"""What admins do with partners."""

from dataclasses import replace
from typing import Any

from generated.problems import Reason
from services.partners.domain import OVERLAP, SEEN, Partner
from services.partners.usecases import changes
from services.partners.usecases.ports import Store, Unit
from services.partners.usecases.secrets import new_secret
from services.runtime import paging
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.vault import Vault


def admins_only(who: Principal) -> None:
    """Refuses FORBIDDEN. The edge did so before; the service that owns the data does not rely on it."""
    if who.role != "admin":
        raise Refusal(Reason.FORBIDDEN)


async def create_partner(unit: Unit, who: Principal, partner: Partner) -> Partner:
    """Registers a partner, its secret encrypted already; its id is given here."""
    admins_only(who)
    return await unit.add_partner(partner)


async def list_partners(store: Store, who: Principal, size: int, token: str) -> Page[Partner]:
    """A page of all partners, by id."""
    admins_only(who)
    after = paging.decode(token, tuple[int]) or (0,)
    return paging.cut(await store.partners(after[0], size + 1), size, lambda partner: (partner.id,))


async def get_partner(store: Store, who: Principal, partner_id: int) -> Partner:
    """Refuses PARTNER_NOT_FOUND."""
    admins_only(who)
    partner = await store.partner(partner_id)
    if partner is None:
        raise Refusal(Reason.PARTNER_NOT_FOUND)
    return partner


async def update_partner(
    store: Store, clock: Clock, who: Principal, partner_id: int, version: int | None, said: dict[str, Any]
) -> Partner:
    """Changes what is named. Refuses PARTNER_NOT_FOUND, and PRECONDITION_FAILED when it has another version."""
    admins_only(who)
    async with store.unit() as unit:
        partner = await locked(unit, partner_id)
        if version not in (None, partner.version):
            raise Refusal(Reason.PRECONDITION_FAILED)
        return await _put(unit, clock, partner, replace(partner, **said))


async def disable_partner(store: Store, clock: Clock, who: Principal, partner_id: int) -> None:
    """Takes no new orders for a partner; paid ones are still told it. Refuses PARTNER_NOT_FOUND."""
    admins_only(who)
    async with store.unit() as unit:
        partner = await locked(unit, partner_id)
        await _put(unit, clock, partner, replace(partner, enabled=False))


async def rotate_partner_secret(store: Store, vault: Vault, clock: Clock, who: Principal, partner_id: int) -> str:
    """A new secret; the old one is good for a day more. Refuses PARTNER_NOT_FOUND."""
    admins_only(who)
    secret = new_secret()
    async with store.unit() as unit:
        partner = await locked(unit, partner_id)
        await unit.put_partner(
            replace(
                partner,
                webhook_secret=vault.lock(secret),
                old_secret=partner.webhook_secret,
                old_secret_until=clock() + OVERLAP,
            )
        )
    return secret


async def locked(unit: Unit, partner_id: int) -> Partner:
    """The partner, locked. Refuses PARTNER_NOT_FOUND."""
    partner = await unit.partner(partner_id)
    if partner is None:
        raise Refusal(Reason.PARTNER_NOT_FOUND)
    return partner


async def _put(unit: Unit, clock: Clock, before: Partner, after: Partner) -> Partner:
    # Whoever switches a partner on says that its system is there again.
    after = replace(after, gone=before.gone and not after.enabled)
    if after == before:
        return before
    after = replace(after, version=before.version + 1)
    await unit.put_partner(after)
    seen = any(getattr(before, name) != getattr(after, name) for name in SEEN)
    if seen and (before.open or after.open):
        await unit.publish(changes.of_partner(after.id, clock()))
    return after
