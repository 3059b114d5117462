"""Puts the sandbox together; the only module that knows every part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from aiosmtpd.smtp import SMTP
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.sandbox import http2
from services.sandbox.accounts import Accounts
from services.sandbox.apns import Apns, AppleKey
from services.sandbox.bank import Bank
from services.sandbox.faults import Faults
from services.sandbox.identity import Identity
from services.sandbox.identity_admin import IdentityAdmin
from services.sandbox.kitchen import Kitchen
from services.sandbox.mailbox import MAX_MAIL, Mailbox
from services.sandbox.oob import Codes
from services.sandbox.pages import Pages
from services.sandbox.phones import Phones
from services.sandbox.push import Push
from services.sandbox.settings import SandboxSettings
from services.sandbox.signing import Webhooks
from services.sandbox.store import Store
from services.sandbox.tokens import Tokens
from services.sandbox.web import Doorkeeper, RefusedError, refusal

CALLBACK_SECONDS = 20
"""How long a bank or partner waits for our answer; longer than the edge gives a request."""


def create_app(settings: SandboxSettings) -> Starlette:
    """The HTTP application; its lifespan opens the SMTP door too, on the same loop."""
    store = Store(settings.sandbox_state)
    client = httpx.AsyncClient(timeout=CALLBACK_SECONDS, follow_redirects=False, trust_env=False)
    pages = Pages()
    faults = Faults(store, settings.sandbox_slow_seconds)
    webhooks = Webhooks(store, settings.sandbox_webhook_secret.get_secret_value(), client)
    project = settings.firebase_project_id
    tokens = Tokens(settings.sandbox_signing_key, project, settings.sandbox_token_seconds)
    accounts = Accounts(store)
    mailbox = Mailbox(store, pages)
    phones = Phones(store, pages)
    apple = Apns(phones, faults, apple_key(settings)) if settings.apns_key_file else None
    codes = Codes(accounts, mailbox.deliver, project)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client, _smtp(mailbox, settings), _apple(apple, settings):
            yield
        store.close()

    parts = (
        pages,
        Identity(accounts, tokens, codes, project),
        IdentityAdmin(accounts, tokens, codes, project),
        Bank(store, webhooks, faults, pages, settings.public_url),
        Kitchen(store, webhooks, faults, pages),
        phones,
        Push(phones, tokens, faults, project),
        mailbox,
    )
    return Starlette(
        routes=[Route("/healthz", _health), *(route for part in parts for route in part.routes())],
        middleware=[Middleware(Doorkeeper)],
        exception_handlers={RefusedError: refusal},
        lifespan=lifespan,
    )


async def _health(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def apple_key(settings: SandboxSettings) -> AppleKey:
    """What signs in at Apple's push service. Raises FileNotFoundError, and ValueError when the file holds no key."""
    content = Path(settings.apns_key_file or "").read_bytes()
    key = load_pem_private_key(content, password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("APNS_KEY_FILE holds no elliptic curve key")
    return AppleKey(settings.apns_key_id, settings.apns_team_id, settings.apns_topic, key.public_key())


@asynccontextmanager
async def _apple(apple: Apns | None, settings: SandboxSettings) -> AsyncIterator[None]:
    if apple is None:
        yield
        return
    async with http2.serving(apple.answer, settings.bind, settings.apns_port):
        yield


@asynccontextmanager
async def _smtp(mailbox: Mailbox, settings: SandboxSettings) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, data_size_limit=MAX_MAIL, enable_SMTPUTF8=True, hostname="sandbox", loop=loop),
        settings.bind,
        settings.smtp_port,
    )
    async with server:
        yield
