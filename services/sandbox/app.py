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

from services.sandbox.bank.payment_system import Bank
from services.sandbox.fault_injection import FaultInjector
from services.sandbox.http_helpers import HttpError, RequestGuardMiddleware, render_problem
from services.sandbox.identity.accounts import AccountRepository
from services.sandbox.identity.admin_api import IdentityAdminApi
from services.sandbox.identity.client_api import IdentityClientApi
from services.sandbox.identity.out_of_band_codes import OobCodeSender
from services.sandbox.identity.tokens import TokenIssuer
from services.sandbox.mail.mailbox import MAX_MAIL_BYTES, Mailbox
from services.sandbox.partner.partner_system import PartnerSystem
from services.sandbox.push import http2
from services.sandbox.push.apns import ApnsCredentials, ApnsEmulator
from services.sandbox.push.devices import Devices
from services.sandbox.push.fcm import FcmEmulator
from services.sandbox.rendering import PageRenderer
from services.sandbox.settings import SandboxSettings
from services.sandbox.store import SqliteDatabase
from services.sandbox.webhooks import WebhookClient

CALLBACK_TIMEOUT_S = 20
"""How long a bank or partner waits for our answer; longer than the edge gives a request."""


def create_app(settings: SandboxSettings) -> Starlette:
    """The HTTP application; its lifespan opens the SMTP door too, on the same loop."""
    store = SqliteDatabase(settings.sandbox_state_dir)
    client = httpx.AsyncClient(timeout=CALLBACK_TIMEOUT_S, follow_redirects=False, trust_env=False)
    pages = PageRenderer()
    faults = FaultInjector(store, settings.sandbox_fault_delay_seconds)
    webhooks = WebhookClient(store, settings.sandbox_webhook_secret.get_secret_value(), client)
    project = settings.firebase_project_id
    tokens = TokenIssuer(settings.sandbox_signing_key_file, project, settings.sandbox_id_token_seconds)
    accounts = AccountRepository(store)
    mailbox = Mailbox(store, pages)
    phones = Devices(store, pages)
    apple = ApnsEmulator(phones, faults, load_apns_credentials(settings)) if settings.apns_key_file else None
    codes = OobCodeSender(accounts, mailbox.deliver, project)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client, _serve_smtp(mailbox, settings), _serve_apns(apple, settings):
            yield
        store.close()

    parts = (
        pages,
        IdentityClientApi(accounts, tokens, codes, project),
        IdentityAdminApi(accounts, tokens, codes, project),
        Bank(store, webhooks, faults, pages, settings.public_url),
        PartnerSystem(store, webhooks, faults, pages),
        phones,
        FcmEmulator(phones, tokens, faults, project),
        mailbox,
    )
    return Starlette(
        routes=[Route("/healthz", _health_check), *(route for part in parts for route in part.routes())],
        middleware=[Middleware(RequestGuardMiddleware)],
        exception_handlers={HttpError: render_problem},
        lifespan=lifespan,
    )


async def _health_check(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def load_apns_credentials(settings: SandboxSettings) -> ApnsCredentials:
    """What signs in at Apple's push service. Raises FileNotFoundError, and ValueError when the file holds no key."""
    content = Path(settings.apns_key_file or "").read_bytes()
    key = load_pem_private_key(content, password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("APNS_KEY_FILE holds no elliptic curve key")
    return ApnsCredentials(settings.apns_key_id, settings.apns_team_id, settings.apns_topic, key.public_key())


@asynccontextmanager
async def _serve_apns(apns: ApnsEmulator | None, settings: SandboxSettings) -> AsyncIterator[None]:
    if apns is None:
        yield
        return
    async with http2.serve(apns.handle, settings.bind, settings.apns_port):
        yield


@asynccontextmanager
async def _serve_smtp(mailbox: Mailbox, settings: SandboxSettings) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, data_size_limit=MAX_MAIL_BYTES, enable_SMTPUTF8=True, hostname="sandbox", loop=loop),
        settings.bind,
        settings.smtp_port,
    )
    async with server:
        yield
