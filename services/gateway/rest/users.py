"""Accounts, profiles and sessions."""

from generated.proto.delivery.notifications.v1 import ListMyNotificationsRequest
from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.rest.delivery import convert
from generated.rest.delivery.handlers import SessionsHandler, UsersHandler
from generated.rest.delivery.models import (
    ConfirmSignUpRequest,
    NotificationPage,
    RefreshSessionRequest,
    Role,
    Session,
    SignInRequest,
    SignUpRequest,
    SignUpRole,
    User,
)
from services.gateway import usecases
from services.gateway.domain import Account
from services.gateway.usecases import Identity, Store, Tokens
from services.runtime.clock import Clock
from services.runtime.principal import Principal
from services.runtime.rest.types import Reply, unset_if_none


class Users(UsersHandler):
    """The operations tagged `users`."""

    def __init__(self, store: Store, identity: Identity, clock: Clock, notifications: NotificationsStub) -> None:
        self._store = store
        self._identity = identity
        self._clock = clock
        self._notifications = notifications

    async def sign_up(self, *, body: SignUpRequest) -> Reply[User]:
        """Makes an account. A deliverer waits for an admin to give the role."""
        role = Role.customer if body.role is SignUpRole.customer else None
        account = await usecases.sign_up(self._store, self._identity, self._clock, body, role)
        return Reply(_user(account, role), {"Location": "/api/v1/users/me"})

    async def confirm_sign_up(self, *, body: ConfirmSignUpRequest) -> None:
        """Takes a mailed code."""
        await usecases.confirm_sign_up(self._store, self._identity, self._clock, body.code)

    async def get_profile(self, *, principal: Principal) -> Reply[User]:
        """One's own profile."""
        account = await usecases.get_profile(self._store, principal)
        role = None if principal.role is None else Role(principal.role)
        return Reply(_user(account, role), {"ETag": f'"{account.version}-{principal.role or ""}"'})

    async def list_my_notifications(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> NotificationPage:
        """What one was told."""
        request = ListMyNotificationsRequest(page_size=page_size, page_token=page_token or "")
        return convert.notification_page(await self._notifications.list_my_notifications(request))


class Sessions(SessionsHandler):
    """The operations tagged `sessions`."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def sign_in(self, *, body: SignInRequest) -> Session:
        """E-mail and password against tokens."""
        return _session(await self._identity.sign_in(body.email, body.password))

    async def refresh_session(self, *, body: RefreshSessionRequest) -> Session:
        """A refresh token against tokens."""
        return _session(await self._identity.refresh(body.refresh_token))

    async def sign_out(self, *, principal: Principal) -> None:
        """Ends every session of the account."""
        await self._identity.revoke(principal.user_id)


def _session(tokens: Tokens) -> Session:
    return Session(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
        user_id=tokens.user_id,
    )


def _user(account: Account, role: Role | None) -> User:
    return User(
        id=account.id,
        email=account.email,
        email_verified=account.email_verified,
        first_name=account.first_name,
        last_name=account.last_name,
        phone=unset_if_none(account.phone),
        birth_date=unset_if_none(account.birth_date),
        role=unset_if_none(role),
        locale=unset_if_none(account.locale),
        time_zone=unset_if_none(account.time_zone),
        notif_token=unset_if_none(account.notif_token),
    )
