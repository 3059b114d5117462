"""Bank administration, and the list of banks that customers can pay at."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from generated.problems import Reason
from services.orders.domain.orders import Bank
from services.orders.usecases.ports import Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal, require_role
from services.runtime.outbound import webhook_secrets
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.idempotency import IdempotencyKey, IdempotentResponse

_ID_PATTERN = re.compile(r"[a-z0-9-]{1,32}")
_TITLE_PATTERN = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_URL_PATTERN = re.compile(r"https?://[\x21-\x7e]{1,492}")


async def list_banks(repository: Repository, page_size: int, page_token: str) -> Page[Bank]:
    """Return a page of active banks, ordered by id."""
    after = pagination.decode_page_token(page_token, tuple[str]) or ("",)
    return pagination.build_page(
        await repository.banks.list_active(after[0], page_size + 1), page_size, lambda bank: (bank.id,)
    )


def _normalise_urls(bank: Bank) -> Bank:
    """Return the bank with base URLs to which paths can be appended."""
    return replace(bank, webcheckout_url=bank.webcheckout_url.rstrip("/"), api_url=bank.api_url.rstrip("/"))


def _validate_bank(bank: Bank) -> None:
    """Check a bank against the public contract, independently of the entry point.

    Raises ApiError: INVALID_REQUEST.
    """
    urls = {"webcheckout_url": bank.webcheckout_url, "api_url": bank.api_url}
    invalid_fields = [name for name, url in urls.items() if not _URL_PATTERN.fullmatch(url)]
    invalid_fields += ["id"] if not _ID_PATTERN.fullmatch(bank.id) else []
    invalid_fields += ["title"] if not _TITLE_PATTERN.fullmatch(bank.title) else []
    if invalid_fields:
        errors = [FieldError(f"/{name}", "is invalid") for name in invalid_fields]
        raise ApiError(Reason.INVALID_REQUEST, errors=errors)


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
    bank = _normalise_urls(bank)
    _validate_bank(bank)
    async with repository.idempotent_unit_of_work(key) as (unit, response):
        if not response.replayed:
            if not await unit.banks.add(bank):
                raise ApiError(Reason.BANK_EXISTS)
            response.data = encode(bank)
    return response


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
    repository: Repository, principal: Principal, bank_id: str, version: int | None, changes: dict[str, Any]
) -> Bank:
    """Update the given fields of a bank. PRECONDITION_FAILED means that the bank has another version than `version`.

    Raises ApiError: FORBIDDEN, BANK_NOT_FOUND, PRECONDITION_FAILED, INVALID_REQUEST.
    """
    require_role(principal, "admin")
    async with repository.unit_of_work() as unit:
        bank = await _get_bank_for_update(unit, bank_id)
        if version not in (None, bank.version):
            raise ApiError(Reason.PRECONDITION_FAILED)
        after = _normalise_urls(replace(bank, **changes))
        if after == bank:
            return bank
        _validate_bank(after)
        after = replace(after, version=bank.version + 1)
        await unit.banks.save(after)
        return after


async def rotate_bank_secret(
    repository: Repository, secret_box: SecretBox, clock: Clock, principal: Principal, bank_id: str
) -> str:
    """Replace the bank's webhook secret and return the new one. The old secret stays valid for a day.

    Raises ApiError: FORBIDDEN, BANK_NOT_FOUND.
    """
    require_role(principal, "admin")
    secret = webhook_secrets.generate_secret()
    async with repository.unit_of_work() as unit:
        bank = await _get_bank_for_update(unit, bank_id)
        rotated = webhook_secrets.rotate_secret(bank, secret_box.encrypt(secret), clock())
        await unit.banks.save(replace(rotated, version=bank.version + 1))
    return secret


async def _get_bank_for_update(unit: UnitOfWork, bank_id: str) -> Bank:
    bank = await unit.banks.get_for_update(bank_id)
    if bank is None:
        raise ApiError(Reason.BANK_NOT_FOUND)
    return bank
