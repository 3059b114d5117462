"""What the gateway does itself, each as one function; all else it only passes on:

- sign_up, confirm_sign_up: accounts, and the proof that a mail arrives
- sign_in, refresh, sign_out: sessions
- get_profile: one's own profile
"""

from dataclasses import dataclass, field
from typing import Protocol

from generated.events import GatewayEvent
from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested, UserRegistered
from generated.rest.delivery.models import SignUpRequest
from services.gateway import domain
from services.gateway.domain import Account, Code
from services.runtime.clock import Clock
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.rest.types import none_if_unset


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session. `expires_in` is the access token's life in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    user_id: str


class Identity(Protocol):
    """The identity provider: e-mail, password, role."""

    async def create(self, email: str, password: str, role: str | None) -> str:
        """A new account's id. Refuses EMAIL_TAKEN."""

    async def delete(self, user_id: str) -> None:
        """Removes an account; one that is not there is no error."""

    async def confirm(self, user_id: str) -> None:
        """The e-mail address is the user's."""

    async def sign_in(self, email: str, password: str) -> Tokens:
        """Refuses CREDENTIALS_INVALID, the same for an unknown address and a wrong password."""

    async def refresh(self, refresh_token: str) -> Tokens:
        """Refuses REFRESH_TOKEN_INVALID."""

    async def revoke(self, user_id: str) -> None:
        """Refresh tokens given so far are worth nothing any more."""


class Store(Protocol):
    """Profiles and codes."""

    async def add(self, account: Account, code: Code, *events: GatewayEvent) -> None:
        """Keeps a new profile and its code, and lets the events leave."""

    async def account(self, user_id: str) -> Account | None:
        """The profile."""

    async def use_code(self, digest: bytes, purpose: str, clock: Clock) -> str | None:
        """Whose code it is, once; None for one that is wrong, used or expired."""

    async def set_verified(self, user_id: str) -> None:
        """The e-mail address is the user's."""


async def sign_up(store: Store, identity: Identity, clock: Clock, body: SignUpRequest, role: str | None) -> Account:
    """Makes the account and mails a code. Refuses EMAIL_TAKEN.

    The account is made at the provider first, since only it knows whether the address is free; if the profile cannot be
    kept then, the account is removed again.
    """
    user_id = await identity.create(body.email, body.password, role)
    account = Account(
        id=user_id,
        email=body.email,
        email_verified=False,
        first_name=body.first_name,
        last_name=body.last_name,
        phone=none_if_unset(body.phone),
        birth_date=none_if_unset(body.birth_date),
        locale=none_if_unset(body.locale),
        time_zone=none_if_unset(body.time_zone),
        notif_token=none_if_unset(body.notif_token),
        version=1,
        created_at=clock(),
    )
    plain = domain.new_code()
    code = Code(domain.digest(plain), "confirm", user_id, clock() + domain.CODE_LIFE)
    registered = UserRegistered(
        user_id=user_id,
        notif_token=account.notif_token,
        locale=account.locale,
        time_zone=account.time_zone,
        email=account.email,
        version=account.version,
    )
    mail = EmailRequested(
        user_id=user_id, email=account.email, template="verification", locale=account.locale, values={"code": plain}
    )
    try:
        await store.add(account, code, registered, mail)
    except Refusal:
        await identity.delete(user_id)
        raise
    return account


async def confirm_sign_up(store: Store, identity: Identity, clock: Clock, code: str) -> None:
    """Takes a mailed code. Refuses CODE_INVALID."""
    user_id = await store.use_code(domain.digest(code), "confirm", clock)
    if user_id is None:
        raise Refusal(Reason.CODE_INVALID)
    await identity.confirm(user_id)
    await store.set_verified(user_id)


async def get_profile(store: Store, who: Principal) -> Account:
    """One's own profile. Refuses USER_NOT_FOUND when the account is gone."""
    account = await store.account(who.user_id)
    if account is None:
        raise Refusal(Reason.USER_NOT_FOUND)
    return account
