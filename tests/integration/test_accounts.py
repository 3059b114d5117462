"""Accounts during faults of the identity provider and the object storage.

The adapters, among them services.gateway.adapters.postgres.accounts and services.gateway.adapters.postgres.codes,
implement the ports of services.gateway.usecases.ports and of the use cases.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from firebase_admin import auth, exceptions
from sqlalchemy import LargeBinary, Text, column, select, table

from generated.events import EVENTS, GatewayEvent
from generated.problems import Reason
from services.gateway.adapters.firebase_identity import FirebaseIdentityProvider
from services.gateway.adapters.image_store import GcsImageStore
from services.gateway.adapters.login_rate_limiter import FailedAttemptLimits, MemcachedLoginRateLimiter
from services.gateway.adapters.postgres import account_statements
from services.gateway.adapters.postgres.repository import PostgresRepository
from services.gateway.domain.accounts import AccountFilter, CodePurpose, ProfileChanges, Registration, SessionTokens
from services.gateway.domain.images import Image
from services.gateway.domain.provider_sign_in import ProviderSignIn, SignInProvider
from services.gateway.usecases import accounts, avatars, passwords, profiles, provider_sign_in, verification_codes
from services.gateway.usecases.token_revocations import RevokedTokens
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import migrations
from services.runtime.storage.database import Database, Statement
from services.runtime.storage.memcached import MemcachedServer
from services.runtime.storage.object_storage import ObjectStore
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.servers import Servers
from tests.users import PASSWORD, create_image

FAULTS = [Fault.DOWN, Fault.UNRESPONSIVE, Fault.INVALID_RESPONSE]
DEADLINE_S = 8.0
"""Maximum duration of a call during a fault; the edge times out after 15 seconds."""

_OUTBOX = Statement(select(table("outbox", column("type", Text), column("payload", LargeBinary))))


class Gateway:
    """Adapters and use cases of accounts, without entry points."""

    def __init__(self, settings: dict[str, str], identity: FaultProxy, storage: FaultProxy) -> None:
        self.database = Database(settings["DATABASE_URL"])
        self.repository = PostgresRepository(self.database, Outbox[GatewayEvent](EVENTS))
        self.client = httpx.AsyncClient(trust_env=False)
        self.identity_proxy, self.storage_proxy = identity, storage
        self.identity = FirebaseIdentityProvider(
            settings["FIREBASE_PROJECT_ID"],
            settings["FIREBASE_API_KEY"],
            f"http://127.0.0.1:{identity.port}",
            settings["GOOGLE_APPLICATION_CREDENTIALS"],
            self.client,
        )
        self.image_store = GcsImageStore(ObjectStore(settings["STORAGE_BUCKET"], f"http://127.0.0.1:{storage.port}"))
        self.cache = MemcachedServer(*(settings[f"CACHE_{name}"] for name in ("ADDRESS", "USERNAME", "PASSWORD")))
        self.rate_limiter = MemcachedLoginRateLimiter(self.cache, FailedAttemptLimits())

    async def sign_up(self, email: str, role: str | None = "customer") -> Principal:
        registration = Registration(email, PASSWORD, "Ada", "Byron", role)
        account = await accounts.sign_up(self.repository, self.identity, now, registration)
        return Principal(account.id, role, email, False, now() + timedelta(hours=1), authenticated_at=now())

    async def sign_in(self, email: str) -> Any:
        return await passwords.sign_in(
            self.identity, self.rate_limiter, RevokedTokens(now), email, PASSWORD, "192.0.2.1"
        )

    async def finish_interrupted_accounts(self) -> int:
        """Complete interrupted accounts as if the grace period had passed."""
        return await accounts.finish_interrupted_accounts(
            self.repository, self.identity, self.image_store, lambda: now() + 2 * accounts.GRACE_PERIOD
        )

    async def list_events(self) -> list[Any]:
        event_types = {event_type.type: event_type for event_type in EVENTS.values()}
        rows = await self.database.fetch_all(_OUTBOX)
        return [event_types[row["type"]].decode(bytes(row["payload"])) for row in rows]

    async def get_code(self, user_id: str) -> str:
        """Return the last code mailed to the user."""
        mails = [
            event for event in await self.list_events() if getattr(event, "template", None) and event.user_id == user_id
        ]
        return str(mails[-1].values["code"])


@pytest.fixture(scope="module")
def proxies(servers: Servers) -> Iterator[tuple[FaultProxy, FaultProxy]]:
    settings = servers.settings("gateway")
    targets = [urlsplit(settings[name]) for name in ("IDENTITY_URL", "STORAGE_URL")]
    identity, storage = [FaultProxy(str(target.hostname), int(target.port or 0)) for target in targets]
    with identity, storage, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIREBASE_AUTH_EMULATOR_HOST", f"127.0.0.1:{identity.port}")
        yield identity, storage


@pytest.fixture
async def gateway(servers: Servers, proxies: tuple[FaultProxy, FaultProxy]) -> AsyncIterator[Gateway]:
    settings = servers.settings("gateway")
    await asyncio.to_thread(migrations.migrate, "gateway", settings["DATABASE_URL"])
    gateway = Gateway(settings, *proxies)
    async with gateway.database, gateway.client:
        yield gateway
        for proxy in proxies:
            proxy.set_fault(Fault.NONE)
        for adapter in (gateway.identity, gateway.image_store, gateway.rate_limiter):
            adapter.close()


@pytest.fixture
def email() -> str:
    return f"ada-{secrets.token_hex(6)}@delivery.test"


class ExpectUnavailable:
    """Context manager that expects UPSTREAM_UNAVAILABLE with Retry-After within the deadline."""

    async def __aenter__(self) -> None:
        self._started = time.monotonic()

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> bool:
        assert isinstance(error, ApiError), error
        assert error.reason is Reason.UPSTREAM_UNAVAILABLE
        assert error.retry_after
        assert time.monotonic() - self._started < DEADLINE_S
        return True


async def assert_unavailable(work: Awaitable[Any]) -> None:
    """Expect UPSTREAM_UNAVAILABLE; for calls that are awaited concurrently."""
    async with ExpectUnavailable():
        await work


async def get_error_reason(work: Awaitable[Any]) -> Reason:
    with pytest.raises(ApiError) as error:
        await work
    return error.value.reason


@pytest.mark.parametrize("fault", FAULTS)
async def test_account_missing_at_provider_is_removed(gateway: Gateway, email: str, fault: Fault) -> None:
    gateway.identity_proxy.set_fault(fault)
    async with ExpectUnavailable():
        await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert await gateway.finish_interrupted_accounts() > 0
    assert await gateway.repository.accounts.get_by_email(email) is None
    principal = await gateway.sign_up(email)
    assert (await gateway.sign_in(email)).user_id == principal.user_id


async def test_account_with_lost_provider_response_is_completed(gateway: Gateway, email: str) -> None:
    gateway.identity_proxy.set_fault(Fault.DROP_RESPONSE)
    async with ExpectUnavailable():
        await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert await get_error_reason(gateway.sign_up(email)) is Reason.EMAIL_TAKEN  # only the background job completes it
    assert await gateway.repository.accounts.get_by_email(email) is None
    await gateway.finish_interrupted_accounts()
    account = await gateway.repository.accounts.get_by_email(email)
    assert account is not None
    session = await gateway.sign_in(email)
    assert session.user_id == account.id
    assert '"role":"customer"' in _claims(session.access_token)
    await accounts.confirm_email(gateway.repository, gateway.identity, now, await gateway.get_code(account.id))
    assert await gateway.finish_interrupted_accounts() == 0


def _claims(token: str) -> str:
    payload = token.split(".")[1]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode().replace('": ', '":')


@pytest.mark.parametrize("fault", FAULTS)
async def test_account_is_deleted_during_provider_outage(gateway: Gateway, email: str, fault: Fault) -> None:
    principal = await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(fault)
    await accounts.delete_account(gateway.repository, gateway.identity, gateway.image_store, now, principal)
    assert await get_error_reason(profiles.get_profile(gateway.repository, principal)) is Reason.USER_NOT_FOUND
    gateway.identity_proxy.set_fault(Fault.NONE)
    await gateway.finish_interrupted_accounts()
    assert await get_error_reason(gateway.sign_in(email)) is Reason.CREDENTIALS_INVALID
    assert not await gateway.identity.exists(principal.user_id)


@pytest.mark.parametrize("fault", FAULTS)
async def test_session_calls_during_provider_outage_return_unavailable(
    gateway: Gateway, email: str, fault: Fault
) -> None:
    principal = await gateway.sign_up(email)
    session = await gateway.sign_in(email)
    gateway.identity_proxy.set_fault(fault)
    await asyncio.gather(
        assert_unavailable(gateway.sign_in(email)),
        assert_unavailable(gateway.identity.refresh_session(session.refresh_token)),
        assert_unavailable(gateway.identity.revoke_refresh_tokens(principal.user_id)),
    )
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert (await gateway.identity.refresh_session(session.refresh_token)).user_id == principal.user_id


async def test_provider_outage_does_not_count_as_failed_attempt(gateway: Gateway, email: str) -> None:
    await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.DOWN)
    for _ in range(12):
        async with ExpectUnavailable():
            await gateway.sign_in(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    await gateway.sign_in(email)


async def test_code_remains_valid_after_provider_outage(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    code = await gateway.get_code(principal.user_id)
    gateway.identity_proxy.set_fault(Fault.DOWN)
    async with ExpectUnavailable():
        await accounts.confirm_email(gateway.repository, gateway.identity, now, code)
    gateway.identity_proxy.set_fault(Fault.NONE)
    await accounts.confirm_email(gateway.repository, gateway.identity, now, code)
    assert (await profiles.get_profile(gateway.repository, principal)).email_verified
    confirm = accounts.confirm_email(gateway.repository, gateway.identity, now, code)
    assert await get_error_reason(confirm) is Reason.CODE_INVALID


async def test_concurrent_code_use_succeeds_once(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    code = await gateway.get_code(principal.user_id)
    attempts = [accounts.confirm_email(gateway.repository, gateway.identity, now, code) for _ in range(8)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [result for result in results if not isinstance(result, ApiError)] == [None]


async def test_concurrent_transactions_claim_different_code_requests(gateway: Gateway, email: str) -> None:
    request = {"purpose": CodePurpose.PASSWORD_RESET, "email": email, "user_id": None, "trace": None}
    for _ in range(2):
        await gateway.database.execute(account_statements.ADD_CODE_REQUEST, **request)
    async with gateway.repository.unit_of_work() as first, gateway.repository.unit_of_work() as second:
        claimed = [await unit.code_requests.claim(1) for unit in (first, second)]
    assert [len(requests) for requests in claimed] == [1, 1]
    assert claimed[0][0].id != claimed[1][0].id


async def test_concurrent_password_resets_apply_one_password(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    await verification_codes.request_code(gateway.repository, CodePurpose.PASSWORD_RESET, email)
    while await verification_codes.send_requested_codes(gateway.repository, now):
        pass
    code = await gateway.get_code(principal.user_id)
    new_passwords = [f"a-new-password-{number}" for number in range(6)]
    resets = [
        passwords.reset_password(
            gateway.repository, gateway.identity, gateway.rate_limiter, now, code, password, "192.0.2.1"
        )
        for password in new_passwords
    ]
    results = await asyncio.gather(*resets, return_exceptions=True)
    accepted = [password for password, result in zip(new_passwords, results, strict=True) if result is None]
    assert len(accepted) == 1, results
    await gateway.identity.sign_in(email, accepted[0])


async def test_change_of_password_invalidates_requested_change_of_address(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    verification = await gateway.get_code(principal.user_id)
    request = (gateway.repository, CodePurpose.EMAIL_CHANGE, f"new-{email}", principal.user_id)
    await verification_codes.request_code(*request)
    while await verification_codes.send_requested_codes(gateway.repository, now):
        pass
    code = await gateway.get_code(principal.user_id)
    await verification_codes.request_code(*request)
    await passwords.change_password(
        gateway.repository, gateway.identity, gateway.rate_limiter, now, principal, PASSWORD, f"new-{PASSWORD}", "::1"
    )
    assert await verification_codes.send_requested_codes(gateway.repository, now) == 0
    confirm = accounts.confirm_email(gateway.repository, gateway.identity, now, code)
    assert await get_error_reason(confirm) is Reason.CODE_INVALID
    await accounts.confirm_email(gateway.repository, gateway.identity, now, verification)
    assert (await profiles.get_profile(gateway.repository, principal)).email == email


async def test_new_password_and_end_of_sessions_are_one_request(
    gateway: Gateway, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise exceptions.UnavailableError("second request")

    principal = await gateway.sign_up(email)
    tokens = await gateway.sign_in(email)
    monkeypatch.setattr(auth, "revoke_refresh_tokens", fail)
    await gateway.identity.set_password(principal.user_id, f"new-{PASSWORD}")
    assert (
        await get_error_reason(gateway.identity.refresh_session(tokens.refresh_token)) is Reason.REFRESH_TOKEN_INVALID
    )


async def test_expired_code_is_rejected(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    code = await gateway.get_code(principal.user_id)
    confirm = accounts.confirm_email(
        gateway.repository, gateway.identity, lambda: now() + timedelta(days=1, seconds=1), code
    )
    assert await get_error_reason(confirm) is Reason.CODE_INVALID


async def test_email_registered_before_confirmation_is_rejected(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    await verification_codes.request_code(
        gateway.repository, CodePurpose.EMAIL_CHANGE, f"new-{email}", principal.user_id
    )
    while await verification_codes.send_requested_codes(gateway.repository, now):
        pass
    code = await gateway.get_code(principal.user_id)
    await gateway.sign_up(f"new-{email}")
    for _ in range(2):
        confirm = accounts.confirm_email(gateway.repository, gateway.identity, now, code)
        assert await get_error_reason(confirm) is Reason.CODE_INVALID
    assert (await profiles.get_profile(gateway.repository, principal)).email == email


async def test_concurrent_profile_updates_are_all_applied(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    patches: list[ProfileChanges] = [{"first_name": "Grace"}, {"last_name": "Hopper"}, {"phone": "+4915112345678"}]
    updates = [
        profiles.update_profile(gateway.repository, now, principal, patch, lambda version: None) for patch in patches
    ]
    await asyncio.gather(*updates)
    profile = await profiles.get_profile(gateway.repository, principal)
    assert (profile.first_name, profile.last_name, profile.phone, profile.version) == (
        "Grace",
        "Hopper",
        "+4915112345678",
        4,
    )


@pytest.mark.parametrize("prefix", ["İbrahim", "İBRA", "ibrahim", "I\u0307brahim", "ÇELİK", "çelik"])
@pytest.mark.parametrize("first_name", ["İbrahim", "I\u0307brahim"])
async def test_account_is_found_by_name_in_any_case(gateway: Gateway, email: str, prefix: str, first_name: str) -> None:
    principal = await gateway.sign_up(email)
    changes: ProfileChanges = {"first_name": first_name, "last_name": "Çelik"}
    await profiles.update_profile(gateway.repository, now, principal, changes, lambda version: None)
    page = await profiles.list_accounts(gateway.repository, 100, "", AccountFilter(prefix=prefix))
    assert principal.user_id in [account.id for account in page.items]


async def test_many_concurrent_profile_updates_succeed(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    updates = [
        profiles.update_profile(
            gateway.repository, now, principal, {"first_name": f"Ada {number}"}, lambda version: None
        )
        for number in range(30)
    ]
    await asyncio.gather(*updates)
    assert (await profiles.get_profile(gateway.repository, principal)).version == 31


@pytest.mark.parametrize("fault", FAULTS)
async def test_avatar_survives_storage_outage(gateway: Gateway, email: str, fault: Fault) -> None:
    principal = await gateway.sign_up(email)
    await avatars.set_avatar(gateway.repository, gateway.image_store, principal, Image("image/png", create_image()))
    avatar = await avatars.get_avatar(gateway.repository, gateway.image_store, principal)
    gateway.storage_proxy.set_fault(fault)
    async with ExpectUnavailable():
        await avatars.set_avatar(
            gateway.repository, gateway.image_store, principal, Image("image/png", create_image(colour="blue"))
        )
    async with ExpectUnavailable():
        await avatars.get_avatar(gateway.repository, gateway.image_store, principal)
    gateway.storage_proxy.set_fault(Fault.NONE)
    assert await avatars.get_avatar(gateway.repository, gateway.image_store, principal) == avatar


async def test_orphaned_avatar_is_deleted_by_clean_up(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    first = await avatars.set_avatar(
        gateway.repository, gateway.image_store, principal, Image("image/png", create_image())
    )
    gateway.storage_proxy.set_fault(Fault.DOWN)
    await avatars.delete_avatar(gateway.repository, gateway.image_store, principal)
    gateway.storage_proxy.set_fault(Fault.NONE)
    assert first.avatar is not None
    assert await gateway.image_store.get(first.avatar) is not None
    second = await avatars.set_avatar(
        gateway.repository, gateway.image_store, principal, Image("image/png", create_image())
    )
    assert second.avatar is not None
    await gateway.image_store.delete_orphans(
        "avatars", await gateway.repository.accounts.list_avatar_names(), timedelta(seconds=-60)
    )
    assert await gateway.image_store.get(first.avatar) is None
    assert await gateway.image_store.get(second.avatar) is not None


async def test_concurrent_failed_attempts_are_all_counted(gateway: Gateway) -> None:
    account = f"{generate_id()}@delivery.test"

    async def attempt() -> Reason:
        async def fail() -> None:
            async with gateway.rate_limiter.limit(account, "192.0.2.7"):
                raise ApiError(Reason.CREDENTIALS_INVALID)

        return await get_error_reason(fail())

    reasons = await asyncio.gather(*(attempt() for _ in range(40)))
    assert sorted(map(str, reasons)).count("CREDENTIALS_INVALID") == 10
    assert set(reasons) == {Reason.CREDENTIALS_INVALID, Reason.TOO_MANY_REQUESTS}


async def test_account_limit_applies_across_client_addresses(gateway: Gateway) -> None:
    account, reasons = f"{generate_id()}@delivery.test", []
    with closing(
        MemcachedLoginRateLimiter(
            gateway.cache,
            FailedAttemptLimits(per_account_and_address=10, per_account=20, per_address=300),
        )
    ) as rate_limiter:
        for number in range(25):
            with pytest.raises(ApiError) as error:
                async with rate_limiter.limit(account, f"192.0.2.{number}"):
                    raise ApiError(Reason.CREDENTIALS_INVALID)
            reasons.append(error.value.reason)
    assert reasons == [Reason.CREDENTIALS_INVALID] * 20 + [Reason.TOO_MANY_REQUESTS] * 5


@pytest.mark.parametrize("changes", [{"address": "127.0.0.1:1"}, {"password": "wrong"}], ids=["down", "password"])
async def test_attempts_are_rejected_when_cache_is_unavailable(gateway: Gateway, changes: dict[str, str]) -> None:
    with closing(MemcachedLoginRateLimiter(gateway.cache._replace(**changes), FailedAttemptLimits())) as rate_limiter:
        async with ExpectUnavailable(), rate_limiter.limit("ada@delivery.test", "192.0.2.1"):
            pass


async def issue_provider_token(gateway: Gateway, email: str, *, is_verified: bool = True) -> str:
    claims = {"sub": email, "email": email, "email_verified": is_verified, "given_name": "Ada"}
    url = f"http://127.0.0.1:{gateway.identity_proxy.port}/providers/google.com/tokens"
    return str((await gateway.client.post(url, json=claims)).json()["id_token"])


async def sign_in_with_google(gateway: Gateway, token: str) -> SessionTokens:
    request = ProviderSignIn(SignInProvider.GOOGLE, token)
    return await provider_sign_in.sign_in_with_provider(
        gateway.repository, gateway.identity, RevokedTokens(now), now, request
    )


def decode_claims(access_token: str) -> dict[str, Any]:
    payload = access_token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


async def test_first_sign_in_with_provider_creates_customer(gateway: Gateway, email: str) -> None:
    token = await issue_provider_token(gateway, email)
    first, repeated = [await sign_in_with_google(gateway, token) for _ in range(2)]
    assert decode_claims(first.access_token)["role"] == decode_claims(repeated.access_token)["role"] == "customer"
    account = await gateway.repository.accounts.get(first.user_id)
    assert account is not None
    assert (account.email, account.email_verified, account.first_name, account.version) == (email, True, "Ada", 1)
    events = [event for event in await gateway.list_events() if getattr(event, "user_id", "") == first.user_id]
    assert [type(event).__name__ for event in events] == ["UserRegistered"]


async def test_provider_sign_in_ends_access_of_unverified_registration(gateway: Gateway, email: str) -> None:
    eve = await gateway.sign_up(email)
    session = await gateway.sign_in(email)
    tokens = await sign_in_with_google(gateway, await issue_provider_token(gateway, email))
    assert tokens.user_id == eve.user_id
    with pytest.raises(ApiError) as raised:
        await gateway.sign_in(email)
    assert raised.value.reason is Reason.CREDENTIALS_INVALID
    with pytest.raises(ApiError) as raised:
        await gateway.identity.refresh_session(session.refresh_token)
    assert raised.value.reason is Reason.REFRESH_TOKEN_INVALID
    assert (await gateway.identity.refresh_session(tokens.refresh_token)).user_id == eve.user_id


async def test_unverified_provider_email_does_not_take_over_account(gateway: Gateway, email: str) -> None:
    ada = await gateway.sign_up(email)
    await gateway.identity.mark_email_verified(ada.user_id)
    with pytest.raises(ApiError) as raised:
        await sign_in_with_google(gateway, await issue_provider_token(gateway, email, is_verified=False))
    assert raised.value.reason is Reason.PROVIDER_EMAIL_UNVERIFIED
    assert (await gateway.sign_in(email)).user_id == ada.user_id


@pytest.mark.parametrize("fault", [Fault.DOWN, Fault.INVALID_RESPONSE])
async def test_provider_sign_in_during_fault_is_unavailable(gateway: Gateway, email: str, fault: Fault) -> None:
    token = await issue_provider_token(gateway, email)
    gateway.identity_proxy.set_fault(fault)
    async with ExpectUnavailable():
        await sign_in_with_google(gateway, token)
