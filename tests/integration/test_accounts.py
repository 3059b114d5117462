"""Accounts while the identity provider or the object storage is down, slow, lies or loses answers."""

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import LargeBinary, Text, column, select, table

from generated.events import EVENTS, GatewayEvent
from generated.problems import Reason
from generated.rest.delivery.models import ProfilePatch, SignUpRequest, SignUpRole
from services.gateway.adapters.firebase_identity import FirebaseIdentityProvider
from services.gateway.adapters.image_store import GcsImageStore
from services.gateway.adapters.login_rate_limiter import FailedAttemptLimits, MemcachedLoginRateLimiter
from services.gateway.adapters.postgres.accounts import PostgresAccountRepository
from services.gateway.domain.accounts import CodePurpose
from services.gateway.usecases import accounts, avatars, passwords, profiles, verification_codes
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from services.runtime.messaging.outbox import Outbox
from services.runtime.rest.types import Upload
from services.runtime.storage import migrations
from services.runtime.storage.database import Database, Statement
from services.runtime.storage.object_storage import ObjectStore
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.servers import Servers
from tests.users import PASSWORD, create_image

AWAY = [Fault.DOWN, Fault.UNRESPONSIVE, Fault.INVALID_RESPONSE]
DEADLINE_S = 8.0
"""Until everybody must have an answer; the edge gives up after 15."""

_OUTBOX = Statement(select(table("outbox", column("type", Text), column("payload", LargeBinary))))


class Gateway:
    """The gateway's part in accounts, without its doors."""

    def __init__(self, settings: dict[str, str], identity: FaultProxy, storage: FaultProxy) -> None:
        self.database = Database(settings["DATABASE_URL"])
        self.store = PostgresAccountRepository(self.database, Outbox[GatewayEvent](EVENTS))
        self.client = httpx.AsyncClient(trust_env=False)
        self.identity_proxy, self.storage_proxy = identity, storage
        self.identity = FirebaseIdentityProvider(
            settings["FIREBASE_PROJECT_ID"],
            settings["FIREBASE_API_KEY"],
            f"http://127.0.0.1:{identity.port}",
            settings["GOOGLE_APPLICATION_CREDENTIALS"],
            self.client,
        )
        self.pictures = GcsImageStore(ObjectStore(settings["STORAGE_BUCKET"], f"http://127.0.0.1:{storage.port}"))
        self.guesses = MemcachedLoginRateLimiter(settings["CACHE_ADDRESS"], FailedAttemptLimits())

    async def sign_up(self, email: str, role: str | None = "customer") -> Principal:
        body = SignUpRequest(
            email=email, password=PASSWORD, first_name="Ada", last_name="Byron", role=SignUpRole.customer
        )
        account = await accounts.sign_up(self.store, self.identity, now, body, role)
        return Principal(account.id, role, email, False, now() + timedelta(hours=1))

    async def sign_in(self, email: str) -> Any:
        return await passwords.sign_in(self.identity, self.guesses, email, PASSWORD, "192.0.2.1")

    async def sweep(self) -> int:
        """As if the time of grace were over."""
        return await accounts.finish_interrupted_accounts(
            self.store, self.identity, self.pictures, lambda: now() + 2 * accounts.GRACE_PERIOD
        )

    async def events(self) -> list[Any]:
        kinds = {kind.type: kind for kind in EVENTS.values()}
        rows = await self.database.fetch_all(_OUTBOX)
        return [kinds[row["type"]].decode(bytes(row["payload"])) for row in rows]

    async def code(self, user_id: str) -> str:
        """The last code that was mailed to a user."""
        mails = [e for e in await self.events() if getattr(e, "template", None) and e.user_id == user_id]
        return str(mails[-1].values["code"])


@pytest.fixture(scope="module")
def proxies(servers: Servers) -> Iterator[tuple[FaultProxy, FaultProxy]]:
    settings = servers.settings("gateway")
    targets = [urlsplit(settings[name]) for name in ("IDENTITY_URL", "STORAGE_URL")]
    first, second = [FaultProxy(str(target.hostname), int(target.port or 0)) for target in targets]
    with first, second, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIREBASE_AUTH_EMULATOR_HOST", f"127.0.0.1:{first.port}")
        yield first, second


@pytest.fixture
async def gateway(servers: Servers, proxies: tuple[FaultProxy, FaultProxy]) -> AsyncIterator[Gateway]:
    settings = servers.settings("gateway")
    await asyncio.to_thread(migrations.migrate, "gateway", settings["DATABASE_URL"])
    made = Gateway(settings, *proxies)
    async with made.database, made.client:
        yield made
        for proxy in proxies:
            proxy.set_fault(Fault.NONE)
        for each in (made.identity, made.pictures, made.guesses):
            each.close()


@pytest.fixture
def email() -> str:
    return f"ada-{secrets.token_hex(6)}@delivery.test"


class Away:
    """Expects a refusal that says when to come again, in time."""

    async def __aenter__(self) -> None:
        self._started = time.monotonic()

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> bool:
        assert isinstance(error, ApiError), error
        assert error.reason is Reason.UPSTREAM_UNAVAILABLE
        assert error.retry_after
        assert time.monotonic() - self._started < DEADLINE_S
        return True


async def away(work: Awaitable[Any]) -> None:
    """For those that are waited for together: what is slow takes its whole time."""
    async with Away():
        await work


async def refused(work: Any) -> Reason:
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value.reason


@pytest.mark.parametrize("fault", AWAY)
async def test_what_the_provider_never_heard_of_is_removed(gateway: Gateway, email: str, fault: Fault) -> None:
    gateway.identity_proxy.set_fault(fault)
    async with Away():
        await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert await gateway.sweep() > 0
    assert await gateway.store.get_account_by_email(email) is None
    who = await gateway.sign_up(email)
    assert (await gateway.sign_in(email)).user_id == who.user_id


async def test_an_account_whose_answer_was_lost_is_completed(gateway: Gateway, email: str) -> None:
    gateway.identity_proxy.set_fault(Fault.DROP_RESPONSE)
    async with Away():
        await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert await refused(gateway.sign_up(email)) is Reason.EMAIL_TAKEN  # a second sign-up completes nothing
    assert await gateway.store.get_account_by_email(email) is None
    await gateway.sweep()
    account = await gateway.store.get_account_by_email(email)
    assert account is not None
    session = await gateway.sign_in(email)
    assert session.user_id == account.id
    assert '"role":"customer"' in _claims(session.access_token)
    await accounts.confirm_email(gateway.store, gateway.identity, now, await gateway.code(account.id))
    assert await gateway.sweep() == 0


def _claims(token: str) -> str:
    payload = token.split(".")[1]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode().replace('": ', '":')


@pytest.mark.parametrize("fault", AWAY)
async def test_a_deleted_account_is_gone_though_the_provider_is_away(
    gateway: Gateway, email: str, fault: Fault
) -> None:
    who = await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(fault)
    await accounts.delete_account(gateway.store, gateway.identity, gateway.pictures, now, who)
    assert await refused(profiles.get_profile(gateway.store, who)) is Reason.USER_NOT_FOUND
    gateway.identity_proxy.set_fault(Fault.NONE)
    await gateway.sweep()
    assert await refused(gateway.sign_in(email)) is Reason.CREDENTIALS_INVALID
    assert not await gateway.identity.exists(who.user_id)


@pytest.mark.parametrize("fault", AWAY)
async def test_sessions_while_the_provider_is_away(gateway: Gateway, email: str, fault: Fault) -> None:
    who = await gateway.sign_up(email)
    session = await gateway.sign_in(email)
    gateway.identity_proxy.set_fault(fault)
    await asyncio.gather(
        away(gateway.sign_in(email)),
        away(gateway.identity.refresh_session(session.refresh_token)),
        away(gateway.identity.revoke_refresh_tokens(who.user_id)),
    )
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert (await gateway.identity.refresh_session(session.refresh_token)).user_id == who.user_id


async def test_an_outage_is_no_guess(gateway: Gateway, email: str) -> None:
    await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.DOWN)
    for _ in range(12):
        async with Away():
            await gateway.sign_in(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    await gateway.sign_in(email)


async def test_a_code_outlives_an_outage(gateway: Gateway, email: str) -> None:
    who = await gateway.sign_up(email)
    code = await gateway.code(who.user_id)
    gateway.identity_proxy.set_fault(Fault.DOWN)
    async with Away():
        await accounts.confirm_email(gateway.store, gateway.identity, now, code)
    gateway.identity_proxy.set_fault(Fault.NONE)
    await accounts.confirm_email(gateway.store, gateway.identity, now, code)
    assert (await profiles.get_profile(gateway.store, who)).email_verified
    confirm = accounts.confirm_email(gateway.store, gateway.identity, now, code)
    assert await refused(confirm) is Reason.CODE_INVALID


async def test_a_code_is_used_once_however_many_try(gateway: Gateway, email: str) -> None:
    who = await gateway.sign_up(email)
    code = await gateway.code(who.user_id)
    tries = [accounts.confirm_email(gateway.store, gateway.identity, now, code) for _ in range(8)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert [result for result in done if not isinstance(result, ApiError)] == [None]


async def test_a_code_runs_out(gateway: Gateway, email: str) -> None:
    who = await gateway.sign_up(email)
    code = await gateway.code(who.user_id)
    tomorrow = accounts.confirm_email(
        gateway.store, gateway.identity, lambda: now() + timedelta(days=1, seconds=1), code
    )
    assert await refused(tomorrow) is Reason.CODE_INVALID


async def test_an_address_that_was_taken_meanwhile(gateway: Gateway, email: str) -> None:
    who = await gateway.sign_up(email)
    await verification_codes.request_code(gateway.store, CodePurpose.EMAIL_CHANGE, f"new-{email}", who.user_id)
    while await verification_codes.send_requested_codes(gateway.store, now):
        pass
    code = await gateway.code(who.user_id)
    await gateway.sign_up(f"new-{email}")
    for _ in range(2):
        confirm = accounts.confirm_email(gateway.store, gateway.identity, now, code)
        assert await refused(confirm) is Reason.CODE_INVALID
    assert (await profiles.get_profile(gateway.store, who)).email == email


async def test_changes_at_the_same_time_lose_nothing(gateway: Gateway, email: str) -> None:
    who = await gateway.sign_up(email)
    patches = [ProfilePatch(first_name="Grace"), ProfilePatch(last_name="Hopper"), ProfilePatch(phone="+4915112345678")]
    await asyncio.gather(*(profiles.update_profile(gateway.store, who, patch, None) for patch in patches))
    after = await profiles.get_profile(gateway.store, who)
    assert (after.first_name, after.last_name, after.phone, after.version) == ("Grace", "Hopper", "+4915112345678", 4)


@pytest.mark.parametrize("fault", AWAY)
async def test_no_avatar_is_lost_by_an_outage(gateway: Gateway, email: str, fault: Fault) -> None:
    who = await gateway.sign_up(email)
    await avatars.set_avatar(gateway.store, gateway.pictures, who, Upload("a", "image/png", create_image()))
    before = await avatars.get_avatar(gateway.store, gateway.pictures, who)
    gateway.storage_proxy.set_fault(fault)
    async with Away():
        await avatars.set_avatar(
            gateway.store, gateway.pictures, who, Upload("b", "image/png", create_image(colour="blue"))
        )
    async with Away():
        await avatars.get_avatar(gateway.store, gateway.pictures, who)
    gateway.storage_proxy.set_fault(Fault.NONE)
    assert await avatars.get_avatar(gateway.store, gateway.pictures, who) == before


async def test_an_old_avatar_that_could_not_be_removed_is_swept(gateway: Gateway, email: str) -> None:
    who = await gateway.sign_up(email)
    first = await avatars.set_avatar(gateway.store, gateway.pictures, who, Upload("a", "image/png", create_image()))
    gateway.storage_proxy.set_fault(Fault.DOWN)
    await avatars.delete_avatar(gateway.store, gateway.pictures, who)
    gateway.storage_proxy.set_fault(Fault.NONE)
    assert first.avatar is not None
    assert await gateway.pictures.get(first.avatar) is not None
    second = await avatars.set_avatar(gateway.store, gateway.pictures, who, Upload("a", "image/png", create_image()))
    assert second.avatar is not None
    await gateway.pictures.delete_orphans("avatars", await gateway.store.list_avatar_names(), timedelta(seconds=-60))
    assert await gateway.pictures.get(first.avatar) is None
    assert await gateway.pictures.get(second.avatar) is not None


async def test_many_guesses_at_once_are_many(gateway: Gateway) -> None:
    account = f"{new_id()}@delivery.test"

    async def guess() -> Reason:
        async def wrong() -> None:
            async with gateway.guesses.limit(account, "192.0.2.7"):
                raise ApiError(Reason.CREDENTIALS_INVALID)

        return await refused(wrong())

    seen = await asyncio.gather(*(guess() for _ in range(40)))
    assert sorted(map(str, seen)).count("CREDENTIALS_INVALID") == 10
    assert set(seen) == {Reason.CREDENTIALS_INVALID, Reason.TOO_MANY_REQUESTS}


async def test_an_account_is_guarded_against_many_addresses(gateway: Gateway) -> None:
    account, seen = f"{new_id()}@delivery.test", []
    with closing(
        MemcachedLoginRateLimiter(
            gateway.guesses.address, FailedAttemptLimits(per_account_and_address=10, per_account=20, per_address=300)
        )
    ) as guesses:
        for number in range(25):
            with pytest.raises(ApiError) as caught:
                async with guesses.limit(account, f"192.0.2.{number}"):
                    raise ApiError(Reason.CREDENTIALS_INVALID)
            seen.append(caught.value.reason)
    assert seen == [Reason.CREDENTIALS_INVALID] * 20 + [Reason.TOO_MANY_REQUESTS] * 5


async def test_without_the_cache_nobody_guesses() -> None:
    with closing(MemcachedLoginRateLimiter("127.0.0.1:1", FailedAttemptLimits())) as guesses:
        async with Away(), guesses.limit("ada@delivery.test", "192.0.2.1"):
            pass
