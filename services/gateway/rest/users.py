"""Accounts, profiles and sessions."""

from collections.abc import Callable
from dataclasses import dataclass

from generated.problems import Reason
from generated.proto.delivery.notifications.v1 import ListMyNotificationsRequest
from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.rest.delivery import pages
from generated.rest.delivery.handlers import SessionsHandler, UsersHandler
from generated.rest.delivery.models import (
    ChangePasswordRequest,
    ConfirmSignUpRequest,
    EmailOnly,
    NotificationPage,
    ProfilePatch,
    RefreshSessionRequest,
    ResetPasswordRequest,
    Role,
    Session,
    SetUserRoleRequest,
    SignInRequest,
    SignUpRequest,
    SignUpRole,
    User,
    UserPage,
)
from services.gateway.domain import Account, Purpose
from services.gateway.guesses import client_address
from services.gateway.usecases import accounts, avatars, codes, profiles, sessions
from services.gateway.usecases.ports import Guesses, Identity, Pictures, Store, Tokens, Wanted
from services.runtime.clock import Clock
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.rest.types import Blob, Reply, Upload, unset_if_none

AVATAR = "/api/v1/users/me/avatar"
REVALIDATE = "private, no-cache"
"""The path stays when the picture changes, so a copy is only good as long as its ETag is."""


@dataclass(frozen=True)
class Accounts:
    """What the handlers of accounts have in common."""

    store: Store
    identity: Identity
    guesses: Guesses
    pictures: Pictures
    clock: Clock
    trusted_hops: int
    wake_mailer: Callable[[], None]

    def address(self, forwarded_for: str) -> str:
        """Who asks."""
        return client_address(forwarded_for, self.trusted_hops)


class Users(UsersHandler):
    """The operations tagged `users`."""

    def __init__(self, of: Accounts, notifications: NotificationsStub) -> None:
        self._of = of
        self._notifications = notifications

    async def sign_up(self, *, body: SignUpRequest) -> Reply[User]:
        """Makes an account. A deliverer waits for an admin to give the role."""
        role = Role.customer if body.role is SignUpRole.customer else None
        account = await accounts.sign_up(self._of.store, self._of.identity, self._of.clock, body, role)
        return Reply(_user(account), {"Location": "/api/v1/users/me"})

    async def confirm_sign_up(self, *, forwarded_for: str, body: ConfirmSignUpRequest) -> None:
        """Takes a mailed code."""
        async with self._of.guesses.attempt(None, self._of.address(forwarded_for)):
            await accounts.confirm(self._of.store, self._of.identity, self._of.clock, body.code)

    async def resend_verification(self, *, body: EmailOnly) -> None:
        """Mails another code, if there is somebody to mail it to."""
        await self._ask(Purpose.CONFIRM, body.email)

    async def request_password_reset(self, *, body: EmailOnly) -> None:
        """Mails a code, if there is somebody to mail it to."""
        await self._ask(Purpose.PASSWORD, body.email)

    async def change_email(self, *, principal: Principal, body: EmailOnly) -> None:
        """Mails a code to the new address."""
        account = await profiles.get(self._of.store, principal)
        await self._ask(Purpose.EMAIL, body.email, account.id)

    async def _ask(self, purpose: Purpose, email: str, user_id: str | None = None) -> None:
        await codes.ask(self._of.store, purpose, email, user_id)
        self._of.wake_mailer()

    async def reset_password(self, *, forwarded_for: str, body: ResetPasswordRequest) -> None:
        """A new password for a mailed code."""
        of, address = self._of, self._of.address(forwarded_for)
        await sessions.reset_password(of.store, of.identity, of.guesses, of.clock, body.code, body.password, address)

    async def change_password(self, *, principal: Principal, forwarded_for: str, body: ChangePasswordRequest) -> None:
        """A new password for the old one."""
        of, address = self._of, self._of.address(forwarded_for)
        await sessions.change_password(
            of.store, of.identity, of.guesses, principal, body.old_password, body.new_password, address
        )

    async def get_profile(self, *, principal: Principal) -> Reply[User]:
        """One's own profile."""
        return _profile(await profiles.get(self._of.store, principal))

    async def update_profile(
        self, *, principal: Principal, body: ProfilePatch, if_match: str | None = None
    ) -> Reply[User]:
        """Changes one's own profile."""
        return _profile(await profiles.update(self._of.store, principal, body, if_match))

    async def delete_profile(self, *, principal: Principal) -> None:
        """Deletes one's own account."""
        await accounts.delete(self._of.store, self._of.identity, self._of.pictures, self._of.clock, principal)

    async def put_avatar(self, *, principal: Principal, body: Upload) -> Reply[User]:
        """Another picture."""
        return _profile(await avatars.put(self._of.store, self._of.pictures, principal, body))

    async def get_avatar(self, *, principal: Principal) -> Reply[Blob]:
        """One's own picture."""
        etag, picture = await avatars.get(self._of.store, self._of.pictures, principal)
        return Reply(picture, {"ETag": etag, "Cache-Control": REVALIDATE})

    async def delete_avatar(self, *, principal: Principal) -> None:
        """No picture any more."""
        await avatars.delete(self._of.store, self._of.pictures, principal)

    async def list_users(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        role: Role | None = None,
        approved: bool | None = None,
        q: str | None = None,
    ) -> UserPage:
        """A page of accounts."""
        page = await profiles.find(self._of.store, page_size, page_token or "", Wanted(role, approved, q))
        return UserPage(items=list(map(_user, page.items)), next_page_token=unset_if_none(page.next_page_token))

    async def set_user_role(self, *, principal: Principal, user_id: str, body: SetUserRoleRequest) -> User:
        """Another role."""
        return _user(await profiles.set_role(self._of.store, self._of.identity, user_id, body.role))

    async def list_my_notifications(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> NotificationPage:
        """What one was told."""
        request = ListMyNotificationsRequest(page_size=page_size, page_token=page_token or "")
        return await self._notifications.list_my_notifications(request, pages.notification_page)


class Sessions(SessionsHandler):
    """The operations tagged `sessions`."""

    def __init__(self, of: Accounts) -> None:
        self._of = of

    async def sign_in(self, *, forwarded_for: str, body: SignInRequest) -> Session:
        """E-mail and password against tokens."""
        of, address = self._of, self._of.address(forwarded_for)
        return _session(await sessions.sign_in(of.identity, of.guesses, body.email, body.password, address))

    async def refresh_session(self, *, body: RefreshSessionRequest) -> Session:
        """A refresh token against tokens."""
        return _session(await self._of.identity.refresh(body.refresh_token))

    async def sign_out(self, *, principal: Principal) -> None:
        """Ends every session of the account; one that is gone has none."""
        try:
            await self._of.identity.revoke(principal.user_id)
        except Refusal as refused:
            if refused.reason is not Reason.USER_NOT_FOUND:
                raise


def _session(tokens: Tokens) -> Session:
    return Session(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
        user_id=tokens.user_id,
    )


def _profile(account: Account) -> Reply[User]:
    return Reply(_user(account), {"ETag": account.etag})


def _user(account: Account) -> User:
    return User(
        id=account.id,
        email=account.email,
        email_verified=account.email_verified,
        first_name=account.first_name,
        last_name=account.last_name,
        phone=unset_if_none(account.phone),
        birth_date=unset_if_none(account.birth_date),
        role=unset_if_none(None if account.role is None else Role(account.role)),
        locale=unset_if_none(account.locale),
        time_zone=unset_if_none(account.time_zone),
        notif_token=unset_if_none(account.notif_token),
        avatar_url=unset_if_none(None if account.avatar is None else AVATAR),
    )
