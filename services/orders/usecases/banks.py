"""The banks that customers pay at, and what admins do with them."""

import base64
import re
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

from generated.problems import Reason
from services.orders.domain import Bank
from services.orders.usecases.ports import Store, Unit
from services.runtime import paging
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.principal import Principal
from services.runtime.refusal import FieldError, Refusal
from services.runtime.vault import Vault

_ID = re.compile(r"[a-z0-9-]{1,32}")
_TITLE = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_URL = re.compile(r"https?://[\x21-\x7e]{1,492}")

OVERLAP = timedelta(hours=24)
"""How long a secret is good after the next was made."""


def admins_only(who: Principal) -> None:
    """Refuses FORBIDDEN. The edge did so before; the service that owns the data does not rely on it."""
    if who.role != "admin":
        raise Refusal(Reason.FORBIDDEN)


def new_secret() -> str:
    """A secret as Standard Webhooks writes it, of 256 random bits."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


async def list_banks(store: Store, size: int, token: str) -> Page[Bank]:
    """A page of active banks."""
    after = paging.decode(token, tuple[str]) or ("",)
    return paging.cut(await store.banks(size + 1, after[0]), size, lambda bank: (bank.id,))


def _check(bank: Bank) -> None:
    """Whoever calls, by whichever door: a bank is as the public contract shows it. Refuses INVALID_REQUEST."""
    urls = {"webcheckout_url": bank.webcheckout_url, "api_url": bank.api_url}
    wrong = [name for name, url in urls.items() if not _URL.fullmatch(url)]
    wrong += ["id"] if not _ID.fullmatch(bank.id) else []
    wrong += ["title"] if not _TITLE.fullmatch(bank.title) else []
    if wrong:
        raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError(f"/{name}", "is none") for name in wrong])


async def create_bank(unit: Unit, who: Principal, bank: Bank) -> Bank:
    """Registers a bank, its secret encrypted already. Refuses BANK_EXISTS and INVALID_REQUEST."""
    admins_only(who)
    _check(bank)
    if not await unit.add_bank(bank):
        raise Refusal(Reason.BANK_EXISTS)
    return bank


async def get_bank(store: Store, who: Principal, bank_id: str) -> Bank:
    """Refuses BANK_NOT_FOUND."""
    admins_only(who)
    bank = await store.bank(bank_id)
    if bank is None:
        raise Refusal(Reason.BANK_NOT_FOUND)
    return bank


async def update_bank(store: Store, who: Principal, bank_id: str, version: int | None, changes: dict[str, Any]) -> Bank:
    """Changes what is named. Refuses BANK_NOT_FOUND, and PRECONDITION_FAILED when the bank has another version."""
    admins_only(who)
    async with store.unit() as unit:
        bank = await _locked(unit, bank_id)
        if version not in (None, bank.version):
            raise Refusal(Reason.PRECONDITION_FAILED)
        after = replace(bank, **changes)
        if after == bank:
            return bank
        _check(after)
        after = replace(after, version=bank.version + 1)
        await unit.put_bank(after)
        return after


async def rotate_bank_secret(store: Store, vault: Vault, clock: Clock, who: Principal, bank_id: str) -> str:
    """A new secret; the old one is good for a day more. Refuses BANK_NOT_FOUND."""
    admins_only(who)
    secret = new_secret()
    async with store.unit() as unit:
        bank = await _locked(unit, bank_id)
        await unit.put_bank(
            replace(
                bank,
                webhook_secret=vault.lock(secret),
                old_secret=bank.webhook_secret,
                old_secret_until=clock() + OVERLAP,
                version=bank.version + 1,
            )
        )
    return secret


async def _locked(unit: Unit, bank_id: str) -> Bank:
    bank = await unit.locked_bank(bank_id)
    if bank is None:
        raise Refusal(Reason.BANK_NOT_FOUND)
    return bank
