"""In-memory fakes of the gateway's repository, identity provider, rate limiter, image store and check cache."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.domain.accounts import (
    MAX_VALID_CODES,
    Account,
    AccountFilter,
    AccountState,
    CodePurpose,
    CodeRequest,
    SessionTokens,
    VerificationCode,
    build_user_deleted_event,
    build_user_updated_event,
)
from services.gateway.domain.images import Image
from services.runtime.core.errors import ApiError
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


class FakeRepository(FakeTransactions):
    """Accounts, codes and code requests. A code in `locked_codes` is in use by another request."""

    def __init__(self, *accounts: Account) -> None:
        super().__init__()
        self.accounts = {account.id: account for account in accounts}
        self.codes: dict[bytes, VerificationCode] = {}
        self.code_requests: list[CodeRequest] = []
        self.locked_codes: set[bytes] = set()
        self.code_counts: list[CodePurpose] = []
        self.revocations: dict[str, datetime] = {}
        self.filters: list[AccountFilter] = []

    async def add_account(self, account: Account) -> None:
        self.accounts[account.id] = account

    async def activate_account(self, account: Account, code: VerificationCode, *events: object) -> None:
        self.accounts[account.id] = replace(account, state=AccountState.ACTIVE)
        self.codes[code.digest] = code
        self.events += events

    async def delete_unfinished_account(self, user_id: str) -> None:
        if self.accounts[user_id].state is not AccountState.ACTIVE:
            del self.accounts[user_id]

    async def get_account(self, user_id: str) -> Account | None:
        account = self.accounts.get(user_id)
        return account if account is not None and account.state is AccountState.ACTIVE else None

    async def get_account_by_email(self, email: str) -> Account | None:
        return next((account for account in self.accounts.values() if account.email == email), None)

    async def list_accounts(
        self, size: int, before: tuple[datetime, str] | None, account_filter: AccountFilter
    ) -> list[Account]:
        self.filters.append(account_filter)
        rows = sorted(self.accounts.values(), key=lambda account: (account.created_at, account.id), reverse=True)
        return [account for account in rows if before is None or (account.created_at, account.id) < before][:size]

    async def list_unfinished_accounts(self, before: datetime, size: int) -> list[Account]:
        return [
            account
            for account in self.accounts.values()
            if account.state is not AccountState.ACTIVE and account.created_at < before
        ][:size]

    async def change_account(
        self, user_id: str, change: Callable[[Account], Account], *, revoke_tokens: bool = False
    ) -> Account | None:
        account = await self.get_account(user_id)
        if account is None:
            return None
        changed = change(account)
        if changed is not account:
            assert changed.version == account.version + 1
            self.accounts[user_id] = changed
            self.events.append(build_user_updated_event(changed))
        if revoke_tokens:
            self.revocations[user_id] = self.now
        return changed

    async def revoke_tokens(self, user_id: str, revoked_at: datetime, *events: object) -> None:
        self.revocations[user_id] = revoked_at
        self.events += events

    async def mark_deleting(self, user_id: str, at: datetime) -> Account | None:
        account = await self.get_account(user_id)
        if account is None:
            return None
        self.accounts[user_id] = anonymised = account.anonymise()
        self.events.append(build_user_deleted_event(anonymised, at))
        return anonymised

    async def get_code(self, digest: bytes, now: datetime) -> VerificationCode | None:
        code = self.codes.get(digest)
        return code if code is not None and now < code.expires_at else None

    @asynccontextmanager
    async def use_code(self, code: VerificationCode) -> AsyncIterator[None]:
        if code.digest in self.locked_codes or code.digest not in self.codes:
            raise ApiError(Reason.CODE_INVALID)
        yield
        del self.codes[code.digest]

    async def delete_code(self, code: VerificationCode) -> None:
        del self.codes[code.digest]

    async def add_code_request(self, purpose: CodePurpose, email: str, user_id: str | None) -> None:
        self.code_requests.append(CodeRequest(len(self.code_requests), purpose, email, user_id, {}))

    async def claim_code_requests(self, size: int) -> Sequence[CodeRequest]:
        return self.code_requests[:size]

    async def check_code_limit(self, user_id: str, purpose: CodePurpose, now: datetime) -> bool:
        self.code_counts.append(purpose)
        return len(self.codes) < MAX_VALID_CODES

    async def add_code(self, code: VerificationCode) -> None:
        self.codes[code.digest] = code

    @asynccontextmanager
    async def process_code_request(self, request: CodeRequest) -> AsyncIterator[None]:
        yield
        self.code_requests.remove(request)

    async def list_avatar_names(self) -> set[str]:
        return {account.avatar for account in self.accounts.values() if account.avatar is not None}


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
