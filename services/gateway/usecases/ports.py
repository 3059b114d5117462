"""What the use cases need of the outside: the identity provider, the store, the counters of guesses."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from generated.events import GatewayEvent
from services.gateway.domain.accounts import Account, CodePurpose, VerificationCode
from services.runtime.rest.types import BinaryResponse, Upload


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """A session. `expires_in` is the access token's life in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    user_id: str


class AccountFilter(NamedTuple):
    """Which accounts a list is about; None leaves a question open."""

    role: str | None = None
    approved: bool | None = None
    prefix: str | None = None


class CodeRequest(NamedTuple):
    """Somebody asks for a code: for the account of an address, or to make an address an account's."""

    id: int
    purpose: CodePurpose
    email: str
    user_id: str | None
    trace: Mapping[str, str]
    """The context in which it was asked for."""


class IdentityProvider(Protocol):
    """The identity provider: e-mail, password, role. Everything refuses UPSTREAM_UNAVAILABLE when it is away."""

    async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
        """Makes an account. Refuses EMAIL_TAKEN."""

    async def exists(self, user_id: str) -> bool:
        """Whether there is such an account."""

    async def delete(self, user_id: str) -> None:
        """Removes an account; one that is not there is no error."""

    async def mark_email_verified(self, user_id: str) -> None:
        """The e-mail address is the user's."""

    async def change_email(self, user_id: str, email: str) -> None:
        """Another address, which is the user's. Refuses EMAIL_TAKEN."""

    async def set_password(self, user_id: str, password: str) -> None:
        """Another password; every session ends."""

    async def set_role(self, user_id: str, role: str) -> None:
        """Takes effect with the next refresh."""

    async def sign_in(self, email: str, password: str) -> SessionTokens:
        """Refuses CREDENTIALS_INVALID, the same for an unknown address and a wrong password."""

    async def refresh_session(self, refresh_token: str) -> SessionTokens:
        """Refuses REFRESH_TOKEN_INVALID."""

    async def revoke_refresh_tokens(self, user_id: str) -> None:
        """Refresh tokens given so far are worth nothing any more."""


class LoginRateLimiter(Protocol):
    """Slows guessing down."""

    def limit(self, account: str | None, client_address: str) -> AbstractAsyncContextManager[None]:
        """Counts the attempt unless the block ends well. Refuses TOO_MANY_REQUESTS."""


class ImageStore(Protocol):
    """Pictures in object storage. Everything refuses UPSTREAM_UNAVAILABLE when it is away."""

    async def add(self, folder: str, upload: Upload) -> str:
        """Normalises a picture and stores it; its name. Refuses PICTURE_REFUSED and UNSUPPORTED_MEDIA_TYPE."""

    async def get(self, name: str) -> BinaryResponse | None:
        """A picture."""

    async def delete(self, name: str) -> None:
        """Removes a picture; one that is not there is no error."""

    async def delete_orphans(self, folder: str, referenced_names: set[str], min_age: timedelta) -> int:
        """Removes pictures that are none of the known. Returns how many."""


class UnitOfWork(Protocol):
    """One transaction over requests for codes."""

    async def claim_code_requests(self, size: int) -> Sequence[CodeRequest]:
        """The oldest, locked until the transaction ends; those that others work on are left out."""

    async def get_account_by_email(self, email: str) -> Account | None:
        """The account of an address."""

    async def get_account(self, user_id: str) -> Account | None:
        """The account of an id."""

    async def add_code(self, code: VerificationCode, now: datetime) -> bool:
        """Keeps a code, unless MAX_CODES of its kind are good already."""

    async def publish(self, event: GatewayEvent) -> None:
        """Lets the event leave when the transaction has committed."""

    async def complete_code_request(self, request_id: int) -> None:
        """The request is dealt with."""


class Repository(Protocol):
    """Profiles, codes and requests for codes."""

    async def add_account(self, account: Account) -> None:
        """Keeps an account that is being made."""

    async def activate_account(self, account: Account, code: VerificationCode, *events: GatewayEvent) -> None:
        """The account is made: from now on it is seen. Nothing happens when it was already."""

    async def delete_unfinished_account(self, user_id: str) -> None:
        """Forgets an account that is half made or half gone."""

    async def get_account(self, user_id: str) -> Account | None:
        """The profile of an active account."""

    async def list_accounts(
        self, size: int, before: tuple[datetime, str] | None, account_filter: AccountFilter
    ) -> list[Account]:
        """Active accounts, newest first."""

    async def list_unfinished_accounts(self, before: datetime, size: int) -> list[Account]:
        """Accounts that are half made, or half gone, since before then."""

    async def save_account(self, account: Account, *events: GatewayEvent) -> bool:
        """The next version of an account, and the events; False when it is no longer the next."""

    async def mark_deleting(self, account: Account, *events: GatewayEvent) -> bool:
        """As `save`, and its codes are worth nothing any more."""

    async def get_code(self, digest: bytes, now: datetime) -> VerificationCode | None:
        """A code that is good."""

    async def use_code(self, code: VerificationCode) -> bool:
        """Uses a code, once: its address is the account's, and verified. False when it was used before.

        When the address or the password is another now, the account's other codes are worth nothing any more.
        """

    async def delete_code(self, code: VerificationCode) -> None:
        """The code is worth nothing any more."""

    async def add_code_request(self, purpose: CodePurpose, email: str, user_id: str | None) -> None:
        """Keeps a request for a code."""

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Commits at the end of the block, rolls back when it raises."""

    async def list_avatar_names(self) -> set[str]:
        """The names of all pictures that an account points to."""
