"""Management of partners by admins."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from generated.problems import Reason
from services.partners.domain.partners import CATALOG_FIELDS, Partner
from services.partners.usecases import catalog_events
from services.partners.usecases.ports import Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.money import MINOR_UNIT_DIGITS
from services.runtime.core.pagination import Page
from services.runtime.core.preconditions import check_version
from services.runtime.core.principal import Principal, require_role
from services.runtime.outbound import base_url, webhook_secrets
from services.runtime.storage.encryption import SecretBox


async def create_partner(
    repository: Repository,
    principal: Principal,
    partner: Partner,
    key: IdempotencyKey | None,
    encode: Callable[[Partner], bytes],
) -> IdempotentResponse:
    """Insert a partner, whose secret is already encrypted, once per idempotency key; return the encoded response.

    `encode` is called with the partner that has its new id.

    Raises ApiError: INVALID_REQUEST.
    """
    require_role(principal, "admin")
    async with repository.idempotent_unit_of_work(key) as (unit, response):
        if not response.replayed:
            response.data = encode(await unit.partners.add(_normalise_url(_check_currency(partner))))
    return response


async def list_partners(repository: Repository, principal: Principal, size: int, token: str) -> Page[Partner]:
    """Return a page of all partners, by id."""
    require_role(principal, "admin")
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    return pagination.build_page(
        await repository.partners.list_after(after[0], size + 1), size, lambda partner: (partner.id,)
    )


async def get_partner(repository: Repository, principal: Principal, partner_id: int) -> Partner:
    """Return a partner. Raises ApiError: PARTNER_NOT_FOUND."""
    require_role(principal, "admin")
    partner = await repository.partners.get(partner_id)
    if partner is None:
        raise ApiError(Reason.PARTNER_NOT_FOUND)
    return partner


async def update_partner(
    repository: Repository,
    clock: Clock,
    principal: Principal,
    partner_id: int,
    expected: Collection[int] | None,
    updates: dict[str, Any],
) -> Partner:
    """Update the given fields of a partner, if it has one of the expected versions; None matches any.

    Raises ApiError: PARTNER_NOT_FOUND, PRECONDITION_FAILED, INVALID_REQUEST.
    """
    require_role(principal, "admin")
    async with repository.unit_of_work() as unit:
        partner = await lock_partner(unit, partner_id)
        check_version(expected, partner.version)
        after = _check_currency(replace(partner, **updates))
        # A URL that an earlier release accepted does not prevent the change of another field.
        return await save_partner(unit, clock, partner, _normalise_url(after) if "api_url" in updates else after)


async def disable_partner(repository: Repository, clock: Clock, principal: Principal, partner_id: int) -> None:
    """Stop taking orders for a partner. Calls about orders that are already paid are still made.

    Raises ApiError: PARTNER_NOT_FOUND.
    """
    require_role(principal, "admin")
    async with repository.unit_of_work() as unit:
        partner = await lock_partner(unit, partner_id)
        await save_partner(unit, clock, partner, replace(partner, enabled=False))


async def rotate_partner_secret(
    repository: Repository,
    secret_box: SecretBox,
    clock: Clock,
    principal: Principal,
    partner_id: int,
    key: IdempotencyKey | None = None,
) -> webhook_secrets.RotatedSecret:
    """Replace the partner's webhook secret, once per idempotency key. Every replaced secret stays valid for a day.

    A repeated request returns the secret of the first one, which is valid for longer than the key.

    Raises ApiError: PARTNER_NOT_FOUND, TOO_MANY_REQUESTS, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_BUSY.
    """
    require_role(principal, "admin")
    async with repository.idempotent_unit_of_work(key) as (unit, response):
        partner = await lock_partner(unit, partner_id)
        if response.replayed:
            secret = webhook_secrets.find_secret(partner, secret_box.decrypt, clock(), response.data)
        else:
            secret = webhook_secrets.generate_secret()
            await unit.partners.save(webhook_secrets.rotate_secret(partner, secret, secret_box, clock()))
            response.data = webhook_secrets.compute_fingerprint(secret)
    return webhook_secrets.RotatedSecret(secret, response.replayed)


async def lock_partner(unit: UnitOfWork, partner_id: int) -> Partner:
    """Return the partner, locked. Raises ApiError: PARTNER_NOT_FOUND."""
    partner = await unit.partners.get_for_update(partner_id)
    if partner is None:
        raise ApiError(Reason.PARTNER_NOT_FOUND)
    return partner


async def save_partner(unit: UnitOfWork, clock: Clock, before: Partner, after: Partner) -> Partner:
    """Save the changes of a partner and publish those of its catalog entry. Return it with its new version."""
    # Enabling a partner clears the mark that its system responded with 410.
    after = replace(after, gone=before.gone and not after.enabled)
    if after == before:
        return before
    after = replace(after, version=before.version + 1)
    await unit.partners.save(after)
    affects_catalog = any(getattr(before, name) != getattr(after, name) for name in CATALOG_FIELDS)
    if affects_catalog and (before.is_available or after.is_available):
        await unit.publish(catalog_events.build_partner_changed_event(after.id, clock()))
    return after


def _check_currency(partner: Partner) -> Partner:
    """Return the partner. Raises ApiError: INVALID_REQUEST for an unknown currency of its delivery fee."""
    if partner.delivery_fee_currency not in MINOR_UNIT_DIGITS:
        error = FieldError("delivery_fee_currency", "is not a currency of ISO 4217")
        raise ApiError(Reason.INVALID_REQUEST, errors=[error])
    return partner


def _normalise_url(partner: Partner) -> Partner:
    """Return the partner with a base URL to which paths can be appended.

    Raises ApiError: INVALID_REQUEST for an invalid URL.
    """
    try:
        return replace(partner, api_url=base_url.normalise_base_url(partner.api_url))
    except ValueError as error:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("api_url", str(error))]) from error
