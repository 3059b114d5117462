"""Composition root of the sandbox."""

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

from services.runtime.sidecar.local_requests import LocalRequestsMiddleware
from services.sandbox.bank.payment_system import Bank
from services.sandbox.fault_injection import FaultInjector
from services.sandbox.http_helpers import BodyLimitMiddleware, HttpError, render_problem
from services.sandbox.identity.accounts import AccountRepository
from services.sandbox.identity.admin_api import IdentityAdminApi
from services.sandbox.identity.client_api import IdentityClientApi
from services.sandbox.identity.out_of_band_codes import OobCodeSender
from services.sandbox.identity.providers import IdentityProviders
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
"""Timeout of callbacks from banks and partners; longer than the request timeout of the edge."""


def create_app(settings: SandboxSettings) -> Starlette:
    """Return the HTTP application. Its lifespan also runs the SMTP and APNs servers, on the same event loop."""
    database = SqliteDatabase(settings.sandbox_state_dir)
    client = httpx.AsyncClient(timeout=CALLBACK_TIMEOUT_S, follow_redirects=False, trust_env=False)
    renderer = PageRenderer()
    fault_injector = FaultInjector(database, settings.sandbox_fault_delay_seconds)
    webhook_client = WebhookClient(database, settings.sandbox_webhook_secret.get_secret_value(), client)
    project = settings.firebase_project_id
    token_issuer = TokenIssuer(settings.sandbox_signing_key_file, project, settings.sandbox_id_token_seconds)
    accounts = AccountRepository(database)
    mailbox = Mailbox(database, renderer)
    devices = Devices(database, renderer)
    apns = ApnsEmulator(devices, fault_injector, load_apns_credentials(settings)) if settings.apns_key_file else None
    oob_codes = OobCodeSender(accounts, mailbox.deliver, project)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client, _serve_smtp(mailbox, settings), _serve_apns(apns, settings):
            yield
        database.close()

    components = (
        renderer,
        IdentityClientApi(accounts, token_issuer, oob_codes, project),
        IdentityAdminApi(accounts, token_issuer, oob_codes, project),
        IdentityProviders(database, accounts, token_issuer),
        Bank(database, webhook_client, fault_injector, renderer, settings.public_url),
        PartnerSystem(database, webhook_client, fault_injector, renderer),
        devices,
        FcmEmulator(devices, token_issuer, fault_injector, project),
        mailbox,
    )
    return Starlette(
        routes=[
            Route("/healthz", _show_health),
            *(route for component in components for route in component.build_routes()),
        ],
        middleware=[Middleware(LocalRequestsMiddleware), Middleware(BodyLimitMiddleware)],
        exception_handlers={HttpError: render_problem},
        lifespan=lifespan,
    )


async def _show_health(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def load_apns_credentials(settings: SandboxSettings) -> ApnsCredentials:
    """Return the credentials that APNs clients must use.

    Raises FileNotFoundError, or ValueError if the file does not contain an elliptic curve key.
    """
    content = Path(settings.apns_key_file or "").read_bytes()
    key = load_pem_private_key(content, password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("APNS_KEY_FILE does not contain an elliptic curve key")
    return ApnsCredentials(settings.apns_key_id, settings.apns_team_id, settings.apns_topic, key.public_key())


@asynccontextmanager
async def _serve_apns(apns: ApnsEmulator | None, settings: SandboxSettings) -> AsyncIterator[None]:
    if apns is None:
        yield
        return
    async with http2.serve(apns.create_app(), settings.bind, settings.apns_port):
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
