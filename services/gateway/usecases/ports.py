"""What the use cases need of the outside: the identity provider, the store, the counters of guesses."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from generated.events import GatewayEvent
from services.gateway.domain import Account, Code, Purpose
from services.runtime.rest.types import Blob, Upload


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session. `expires_in` is the access token's life in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    user_id: str


class Wanted(NamedTuple):
    """Which accounts a list is about; None leaves a question open."""

    role: str | None = None
    approved: bool | None = None
    beginning: str | None = None


class Request(NamedTuple):
    """Somebody asks for a code: for the account of an address, or to make an address an account's."""

    id: int
    purpose: Purpose
    email: str
    user_id: str | None
    trace: Mapping[str, str]
    """The context in which it was asked for."""


class Identity(Protocol):
    """The identity provider: e-mail, password, role. Everything refuses UPSTREAM_UNAVAILABLE when it is away."""

    async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
        """Makes an account. Refuses EMAIL_TAKEN."""

    async def exists(self, user_id: str) -> bool:
        """Whether there is such an account."""

    async def delete(self, user_id: str) -> None:
        """Removes an account; one that is not there is no error."""

    async def confirm(self, user_id: str) -> None:
        """The e-mail address is the user's."""

    async def change_email(self, user_id: str, email: str) -> None:
        """Another address, which is the user's. Refuses EMAIL_TAKEN."""

    async def set_password(self, user_id: str, password: str) -> None:
        """Another password; every session ends."""

    async def set_role(self, user_id: str, role: str) -> None:
        """Takes effect with the next refresh."""

    async def sign_in(self, email: str, password: str) -> Tokens:
        """Refuses CREDENTIALS_INVALID, the same for an unknown address and a wrong password."""

    async def refresh(self, refresh_token: str) -> Tokens:
        """Refuses REFRESH_TOKEN_INVALID."""

    async def revoke(self, user_id: str) -> None:
        """Refresh tokens given so far are worth nothing any more."""


class Guesses(Protocol):
    """Slows guessing down."""

    def attempt(self, account: str | None, address: str) -> AbstractAsyncContextManager[None]:
        """Counts the attempt unless the block ends well. Refuses TOO_MANY_REQUESTS."""


class Pictures(Protocol):
    """Pictures in object storage. Everything refuses UPSTREAM_UNAVAILABLE when it is away."""

    async def add(self, folder: str, upload: Upload) -> str:
        """Normalises a picture and stores it; its name. Refuses PICTURE_REFUSED and UNSUPPORTED_MEDIA_TYPE."""

    async def get(self, name: str) -> Blob | None:
        """A picture."""

    async def remove(self, name: str) -> None:
        """Removes a picture; one that is not there is no error."""

    async def remove_orphans(self, folder: str, known: set[str], older_than: timedelta) -> int:
        """Removes pictures that are none of the known. Returns how many."""


class Unit(Protocol):
    """One transaction over requests for codes."""

    async def requests(self, size: int) -> Sequence[Request]:
        """The oldest, locked until the transaction ends; those that others work on are left out."""

    async def account_of(self, email: str) -> Account | None:
        """The account of an address."""

    async def account(self, user_id: str) -> Account | None:
        """The account of an id."""

    async def add_code(self, code: Code, now: datetime) -> bool:
        """Keeps a code, unless MAX_CODES of its kind are good already."""

    async def publish(self, event: GatewayEvent) -> None:
        """Lets the event leave when the transaction has committed."""

    async def done(self, request_id: int) -> None:
        """The request is dealt with."""


class Store(Protocol):
    """Profiles, codes and requests for codes."""

    async def add(self, account: Account) -> None:
        """Keeps an account that is being made."""

    async def activate(self, account: Account, code: Code, *events: GatewayEvent) -> None:
        """The account is made: from now on it is seen. Nothing happens when it was already."""

    async def remove(self, user_id: str) -> None:
        """Forgets an account that is half made or half gone."""

    async def account(self, user_id: str) -> Account | None:
        """The profile of an active account."""

    async def accounts(self, size: int, before: tuple[datetime, str] | None, wanted: Wanted) -> list[Account]:
        """Active accounts, newest first."""

    async def unfinished(self, before: datetime, size: int) -> list[Account]:
        """Accounts that are half made, or half gone, since before then."""

    async def save(self, account: Account, *events: GatewayEvent) -> bool:
        """The next version of an account, and the events; False when it is no longer the next."""

    async def leave(self, account: Account, *events: GatewayEvent) -> bool:
        """As `save`, and its codes are worth nothing any more."""

    async def code(self, digest: bytes, now: datetime) -> Code | None:
        """A code that is good."""

    async def use_code(self, code: Code) -> bool:
        """Uses a code, once: its address is the account's, and verified. False when it was used before.

        When the address or the password is another now, the account's other codes are worth nothing any more.
        """

    async def drop_code(self, code: Code) -> None:
        """The code is worth nothing any more."""

    async def ask(self, purpose: Purpose, email: str, user_id: str | None) -> None:
        """Keeps a request for a code."""

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Commits at the end of the block, rolls back when it raises."""

    async def avatars(self) -> set[str]:
        """The names of all pictures that an account points to."""
