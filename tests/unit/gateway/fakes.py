"""In-memory fakes of the gateway's repository, identity provider, rate limiter, image store and check cache."""

from collections import UserDict, UserList
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.domain.accounts import (
    TAKEOVER_PURPOSES,
    Account,
    AccountFilter,
    AccountState,
    CodePurpose,
    CodeRequest,
    SessionTokens,
    VerificationCode,
    generate_code,
)
from services.gateway.domain.images import Image
from services.gateway.domain.provider_sign_in import ProviderSession, ProviderSignIn
from services.runtime.core.errors import ApiError
from services.runtime.core.repository import TimeKey
from tests.unit.fake_transactions import NOW, FakeTransactions

ADA = Account(
    id="ada",
    state=AccountState.ACTIVE,
    email="ada@delivery.test",
    email_verified=False,
    first_name="Ada",
    last_name="Lovelace",
    phone="+12025550100",
    birth_date=None,
    locale="de",
    time_zone="Europe/Vienna",
    notif_token="token",
    role="customer",
    avatar=None,
    version=1,
    created_at=NOW,
)


class FakeAccounts(UserDict[str, Account]):
    """Accounts by id; the filters of lists are stored in the repository."""

    def __init__(self, repository: "FakeRepository", accounts: Iterable[Account]) -> None:
        super().__init__()
        self.data.update({account.id: account for account in accounts})
        self.repository = repository

    async def get(self, key: str) -> Account | None:
        account = self.data.get(key)
        return account if account is not None and account.state is AccountState.ACTIVE else None

    get_for_update = get

    async def get_by_email(self, email: str) -> Account | None:
        return next((account for account in self.data.values() if account.email == email), None)

    async def list_before(self, before: TimeKey | None, size: int, entity_filter: AccountFilter) -> list[Account]:
        self.repository.filters.append(entity_filter)
        rows = sorted(self.data.values(), key=lambda account: (account.created_at, account.id), reverse=True)
        return [account for account in rows if before is None or (account.created_at, account.id) < before][:size]

    async def list_unfinished(self, before: datetime, size: int) -> list[Account]:
        unfinished = [account for account in self.data.values() if account.state is not AccountState.ACTIVE]
        return [account for account in unfinished if account.created_at < before][:size]

    async def list_avatar_names(self) -> set[str]:
        return {account.avatar for account in self.data.values() if account.avatar is not None}

    async def add(self, account: Account) -> None:
        self.data.setdefault(account.id, account)

    async def save(self, entity: Account) -> None:
        assert entity.version == self.data[entity.id].version + 1
        self.data[entity.id] = entity

    async def activate(self, user_id: str) -> bool:
        if self.data[user_id].state is not AccountState.CREATING:
            return False
        self.data[user_id] = replace(self.data[user_id], state=AccountState.ACTIVE)
        return True

    async def delete_unfinished(self, user_id: str) -> None:
        if self.data[user_id].state is not AccountState.ACTIVE:
            del self.data[user_id]


class FakeCodes(UserDict[bytes, VerificationCode]):
    """Codes by digest; the purposes of counted codes are stored in the repository."""

    def __init__(self, repository: "FakeRepository") -> None:
        super().__init__()
        self.repository = repository

    async def get(self, key: bytes) -> VerificationCode | None:
        return self.data.get(key)

    async def add(self, code: VerificationCode) -> None:
        self.data[code.digest] = code

    async def try_lock(self, code: VerificationCode) -> bool:
        return code.digest in self.data and code.digest not in self.repository.locked_codes

    async def delete(self, code: VerificationCode) -> None:
        del self.data[code.digest]

    async def delete_all(self, user_id: str) -> None:
        self.data = {digest: code for digest, code in self.data.items() if code.user_id != user_id}

    async def delete_purposes(self, user_id: str, purposes: Collection[CodePurpose]) -> None:
        self.data = {
            digest: code
            for digest, code in self.data.items()
            if code.user_id != user_id or code.purpose not in purposes
        }

    async def delete_expired(self, user_id: str, now: datetime) -> None:
        expired = [code for code in self.data.values() if code.user_id == user_id and not code.is_valid(now)]
        for code in expired:
            del self.data[code.digest]

    async def count_valid(self, user_id: str, purpose: CodePurpose, now: datetime) -> int:
        self.repository.code_counts.append(purpose)
        codes = [code for code in self.data.values() if (code.user_id, code.purpose) == (user_id, purpose)]
        return sum(code.is_valid(now) for code in codes)


class FakeCodeRequests(UserList[CodeRequest]):
    """Code requests, oldest first; those in `next_at` are leased or scheduled for that time."""

    def __init__(self, initial: Iterable[CodeRequest] = ()) -> None:
        super().__init__(initial)
        self.next_at: dict[int, datetime] = {}

    async def add(self, purpose: CodePurpose, email: str, user_id: str | None) -> None:
        self.data.append(CodeRequest(len(self.data), purpose, email, user_id, 0, {}))

    async def delete_all(self, user_id: str) -> None:
        self.data = [request for request in self.data if request.user_id != user_id]

    async def claim(self, size: int, now: datetime, lease_until: datetime) -> Sequence[CodeRequest]:
        due = [request for request in self.data if self.next_at.get(request.id, now) <= now][:size]
        claimed = {request.id: request._replace(attempts=request.attempts + 1) for request in due}
        self.next_at |= dict.fromkeys(claimed, lease_until)
        self.data = [claimed.get(request.id, request) for request in self.data]
        return list(claimed.values())

    async def reschedule(self, request: CodeRequest, not_before: datetime) -> None:
        self.next_at[request.id] = not_before

    async def discard(self, request: CodeRequest) -> None:
        self.data.remove(request)

    @asynccontextmanager
    async def process(self, request: CodeRequest) -> AsyncIterator[bool]:
        is_leased = request in self.data
        if is_leased:
            self.data.remove(request)
        yield is_leased


class FakeRepository(FakeTransactions):
    """Accounts, codes and code requests. A code in `locked_codes` is in use by another request."""

    def __init__(self, *accounts: Account) -> None:
        super().__init__()
        self.accounts = self.account_reader = FakeAccounts(self, accounts)
        self.codes = FakeCodes(self)
        self.code_requests = FakeCodeRequests()
        self.locked_codes: set[bytes] = set()
        self.code_counts: list[CodePurpose] = []
        self.revocations: dict[str, datetime] = {}
        self.filters: list[AccountFilter] = []

    def limited_unit_of_work(self) -> AbstractAsyncContextManager[Self]:
        return self.unit_of_work()

    async def revoke_tokens(self, user_id: str, revoked_at: datetime) -> None:
        self.revocations[user_id] = revoked_at

    async def invalidate_codes(self, user_id: str, purposes: Collection[CodePurpose] = TAKEOVER_PURPOSES) -> None:
        await self.code_requests.delete_all(user_id)
        await self.codes.delete_purposes(user_id, purposes)


def add_pending_codes(repository: FakeRepository) -> list[bytes]:
    """Add a code and a request for each purpose. Returns the digests: change, verification, reset."""
    digests = []
    for purpose in (CodePurpose.EMAIL_CHANGE, CodePurpose.EMAIL_VERIFICATION, CodePurpose.PASSWORD_RESET):
        is_change = purpose is CodePurpose.EMAIL_CHANGE
        email, user_id = ("new@delivery.test", ADA.id) if is_change else (ADA.email, None)
        _, code = generate_code(purpose, ADA.id, NOW, email if is_change else None)
        repository.codes[code.digest] = code
        repository.code_requests.append(CodeRequest(len(digests), purpose, email, user_id, 0, {}))
        digests.append(code.digest)
    return digests


def assert_only_verification_is_pending(repository: FakeRepository) -> None:
    """Check that no code and no request is pending that changes the address, and no code that resets the password."""
    assert {code.purpose for code in repository.codes.values()} == {CodePurpose.EMAIL_VERIFICATION}
    assert CodePurpose.EMAIL_CHANGE not in {request.purpose for request in repository.code_requests}


class FakeIdentityProvider:
    """Identity provider that records its calls; a call listed in `errors` raises the error with that reason."""

    def __init__(self, *known_ids: str, **errors: Reason) -> None:
        self.known_ids = set(known_ids)
        self.errors = errors
        self.issued_at = NOW
        self.calls: list[tuple[str, ...]] = []

    def _record(self, operation: str, *arguments: str | None) -> None:
        self.calls.append((operation, *map(str, arguments)))
        if operation in self.errors:
            raise ApiError(self.errors[operation])

    async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
        self._record("create", user_id, email, password, role)

    async def exists(self, user_id: str) -> bool:
        return user_id in self.known_ids

    async def delete(self, user_id: str) -> None:
        self._record("delete", user_id)

    async def mark_email_verified(self, user_id: str) -> None:
        self._record("mark_email_verified", user_id)

    async def change_email(self, user_id: str, email: str) -> None:
        self._record("change_email", user_id, email)

    async def set_password(self, user_id: str, password: str) -> None:
        self._record("set_password", user_id, password)

    async def set_role(self, user_id: str, role: str) -> None:
        self._record("set_role", user_id, role)

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        self._record("set_disabled", user_id, str(disabled))

    async def sign_in(self, email: str, password: str) -> SessionTokens:
        self._record("sign_in", email, password)
        return SessionTokens("access", "refresh", 3600, "ada", self.issued_at)

    async def sign_in_with_provider(self, request: ProviderSignIn) -> ProviderSession:
        self._record("sign_in_with_provider", request.provider, request.id_token)
        tokens = SessionTokens("access", "refresh", 3600, "ada", self.issued_at)
        return ProviderSession(tokens, "Ada", "Lovelace")

    async def refresh_session(self, refresh_token: str) -> SessionTokens:
        self._record("refresh_session", refresh_token)
        return SessionTokens("access", "refresh", 3600, "ada", self.issued_at)

    async def revoke_refresh_tokens(self, user_id: str) -> None:
        self._record("revoke_refresh_tokens", user_id)


class FakeLoginRateLimiter:
    """Rate limiter that records the subjects of all attempts and the reasons of failed ones."""

    def __init__(self, *, is_exhausted: bool = False) -> None:
        self.is_exhausted = is_exhausted
        self.subjects: list[tuple[str | None, str]] = []
        self.failures: list[Reason] = []

    @asynccontextmanager
    async def limit(self, account: str | None, client_address: str) -> AsyncIterator[None]:
        self.subjects.append((account, client_address))
        if self.is_exhausted:
            raise ApiError(Reason.TOO_MANY_REQUESTS)
        try:
            yield
        except ApiError as error:
            self.failures.append(error.reason)
            raise


class FakeImageStore:
    """Images by name; with `delete_fails`, images cannot be deleted."""

    def __init__(self, *names: str, delete_fails: bool = False) -> None:
        self.images = dict.fromkeys(names, Image("image/webp", b"old"))
        self.delete_fails = delete_fails
        self.clean_ups: list[tuple[str, set[str], timedelta]] = []

    async def add(self, folder: str, image: Image) -> str:
        name = f"{folder}/new{len(self.images)}.digest"
        self.images[name] = image
        return name

    async def get(self, name: str) -> Image | None:
        return self.images.get(name)

    async def delete(self, name: str) -> None:
        if self.delete_fails:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        self.images.pop(name, None)

    async def delete_orphans(self, folder: str, referenced_names: set[str], min_age: timedelta) -> int:
        self.clean_ups.append((folder, referenced_names, min_age))
        return 3


class FakeCheckCache:
    """Order checks by id and user; every access fails while the cache is unavailable."""

    def __init__(self, *, is_available: bool = True) -> None:
        self.baskets: dict[tuple[str, str], CheckedBasket] = {}
        self.is_available = is_available

    async def put(self, check_id: str, user_id: str, basket: CheckedBasket) -> None:
        self._check_available()
        self.baskets[check_id, user_id] = basket

    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        self._check_available()
        return self.baskets.get((check_id, user_id))

    def _check_available(self) -> None:
        if not self.is_available:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
