"""Bank administration, and the list of banks that customers can pay at."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

from generated.problems import Reason
from services.orders.domain.orders import Bank
from services.orders.usecases.ports import Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.pagination import Page
from services.runtime.core.preconditions import check_version
from services.runtime.core.principal import Principal, require_role
from services.runtime.outbound import base_url, webhook_secrets
from services.runtime.storage.encryption import SecretBox

_ID_PATTERN = re.compile(r"[a-z0-9-]{1,32}")
_TITLE_PATTERN = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_URL_FIELDS = ("webcheckout_url", "api_url")
_MAX_URL_LENGTH = 500


async def list_banks(repository: Repository, page_size: int, page_token: str) -> Page[Bank]:
    """Return a page of active banks, ordered by id."""
    return await _list_page(repository, page_size, page_token, active=True)


async def list_registered_banks(
    repository: Repository, principal: Principal, page_size: int, page_token: str, active: bool | None = None
) -> Page[Bank]:
    """Return a page of all banks, or of those that are active or inactive, ordered by id, for admins.

    Raises ApiError: FORBIDDEN.
    """
    require_role(principal, "admin")
    return await _list_page(repository, page_size, page_token, active=active)


async def _list_page(repository: Repository, page_size: int, page_token: str, *, active: bool | None) -> Page[Bank]:
    (after,) = pagination.decode_page_token(page_token, tuple[str]) or ("",)
    banks = await repository.banks.list_after(after, page_size + 1, active=active)
    return pagination.build_page(banks, page_size, lambda bank: (bank.id,))


def _normalise_bank(bank: Bank, changed_fields: Collection[str]) -> Bank:
    """Check the changed fields of a bank, independently of the entry point, and return it with normalised URLs.

    Raises ApiError: INVALID_REQUEST.
    """
    errors: list[FieldError] = []
    urls: dict[str, Any] = {}
    for name, allows_query in (("webcheckout_url", True), ("api_url", False)):
        if name in changed_fields:
            try:
                urls[name] = base_url.normalise_base_url(getattr(bank, name), allows_query=allows_query)
            except ValueError as error:
                errors.append(FieldError(name, str(error)))
            else:
                if len(urls[name]) > _MAX_URL_LENGTH:
                    errors.append(FieldError(name, f"is longer than {_MAX_URL_LENGTH} characters"))
    errors += [FieldError("id", "is invalid")] if not _ID_PATTERN.fullmatch(bank.id) else []
    errors += [FieldError("title", "is invalid")] if not _TITLE_PATTERN.fullmatch(bank.title) else []
    if errors:
        raise ApiError(Reason.INVALID_REQUEST, errors=errors)
    return replace(bank, **urls)


async def create_bank(
    repository: Repository,
    principal: Principal,
    bank: Bank,
    key: IdempotencyKey | None,
    encode: Callable[[Bank], bytes],
) -> IdempotentResponse:
    """Register a bank, whose webhook secret is already encrypted, once per idempotency key.

    Return the response that `encode` encodes.

    Raises ApiError: FORBIDDEN, BANK_EXISTS, INVALID_REQUEST, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_BUSY.
    """
    require_role(principal, "admin")
    bank = _normalise_bank(bank, _URL_FIELDS)
    async with repository.idempotent_unit_of_work(key) as (unit, response):
        if not response.replayed:
            if not await unit.banks.add(bank):
                raise ApiError(Reason.BANK_EXISTS)
            response.data = encode(bank)
    return response


async def upsert_banks(repository: Repository, banks: Iterable[Bank]) -> None:
    """Create or overwrite banks, whose webhook secrets are already encrypted."""
    async with repository.unit_of_work() as unit:
        for bank in banks:
            if not await unit.banks.add(bank):
                await unit.banks.save(bank)


async def get_bank(repository: Repository, principal: Principal, bank_id: str) -> Bank:
    """Return a bank, active or not.

    Raises ApiError: FORBIDDEN, BANK_NOT_FOUND.
    """
    require_role(principal, "admin")
    bank = await repository.banks.get(bank_id)
    if bank is None:
        raise ApiError(Reason.BANK_NOT_FOUND)
    return bank


async def update_bank(
    repository: Repository,
    principal: Principal,
    bank_id: str,
    expected: Collection[int] | None,
    changes: dict[str, Any],
) -> Bank:
    """Update the given fields of a bank, if it has one of the expected versions; None matches any.

    Raises ApiError: FORBIDDEN, BANK_NOT_FOUND, PRECONDITION_FAILED, INVALID_REQUEST.
    """
    require_role(principal, "admin")
    async with repository.unit_of_work() as unit:
        bank = await _get_bank_for_update(unit, bank_id)
        check_version(expected, bank.version)
        # A URL that an earlier release accepted does not prevent the change of another field.
        after = _normalise_bank(replace(bank, **changes), changes)
        if after == bank:
            return bank
        after = replace(after, version=bank.version + 1)
        await unit.banks.save(after)
        return after


async def rotate_bank_secret(
    repository: Repository,
    secret_box: SecretBox,
    clock: Clock,
    principal: Principal,
    bank_id: str,
    key: IdempotencyKey | None = None,
) -> webhook_secrets.RotatedSecret:
    """Replace the bank's webhook secret, once per idempotency key. Every replaced secret stays valid for a day.

    A repeated request returns the secret of the first one, which is valid for longer than the key.

    Raises ApiError: FORBIDDEN, BANK_NOT_FOUND, TOO_MANY_REQUESTS, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_BUSY.
    """
    require_role(principal, "admin")
    async with repository.idempotent_unit_of_work(key) as (unit, response):
        bank = await _get_bank_for_update(unit, bank_id)
        if response.replayed:
            secret = webhook_secrets.find_secret(bank, secret_box.decrypt, clock(), response.data)
        else:
            secret = webhook_secrets.generate_secret()
            rotated = webhook_secrets.rotate_secret(bank, secret, secret_box, clock())
            await unit.banks.save(replace(rotated, version=bank.version + 1))
            response.data = webhook_secrets.compute_fingerprint(secret)
    return webhook_secrets.RotatedSecret(secret, response.replayed)


async def _get_bank_for_update(unit: UnitOfWork, bank_id: str) -> Bank:
    bank = await unit.banks.get_for_update(bank_id)
    if bank is None:
        raise ApiError(Reason.BANK_NOT_FOUND)
    return bank
