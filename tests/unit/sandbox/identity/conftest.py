"""Fixtures: the identity provider's APIs, and its mails."""

import httpx
import pytest

from services.sandbox.identity.accounts import AccountRepository
from services.sandbox.identity.admin_api import IdentityAdminApi
from services.sandbox.identity.client_api import IdentityClientApi
from services.sandbox.identity.out_of_band_codes import OobCodeSender
from services.sandbox.identity.tokens import TokenIssuer
from tests.unit.sandbox.components import create_client

type Mails = list[tuple[str, str, str]]


@pytest.fixture
def mails() -> Mails:
    """Sent mails as (address, subject, text)."""
    return []


@pytest.fixture
def oob_codes(accounts: AccountRepository, mails: Mails) -> OobCodeSender:
    return OobCodeSender(accounts, lambda *mail: mails.append(mail), "delivery-local")


@pytest.fixture
def client(accounts: AccountRepository, token_issuer: TokenIssuer, oob_codes: OobCodeSender) -> httpx.AsyncClient:
    return create_client(
        IdentityClientApi(accounts, token_issuer, oob_codes, "delivery-local"),
        IdentityAdminApi(accounts, token_issuer, oob_codes, "delivery-local"),
    )
