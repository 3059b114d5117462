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
from services.gateway.adapters.login_rate_limiter import parse_client_address
from services.gateway.domain.accounts import Account, CodePurpose
from services.gateway.usecases import accounts, avatars, passwords, profiles, verification_codes
from services.gateway.usecases.ports import (
    AccountFilter,
    IdentityProvider,
    ImageStore,
    LoginRateLimiter,
    Repository,
    SessionTokens,
)
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.rest.types import BinaryResponse, Response, Upload, none_to_unset

AVATAR_PATH = "/api/v1/users/me/avatar"
CACHE_CONTROL_REVALIDATE = "private, no-cache"
"""The path stays when the picture changes, so a copy is only good as long as its ETag is."""


@dataclass(frozen=True)
class AccountContext:
    """What the handlers of accounts have in common."""

    repository: Repository
    identity: IdentityProvider
    rate_limiter: LoginRateLimiter
    image_store: ImageStore
    clock: Clock
    trusted_hops: int
    notify_mailer: Callable[[], None]

    def client_address(self, forwarded_for: str) -> str:
        """Who asks."""
        return parse_client_address(forwarded_for, self.trusted_hops)


class Users(UsersHandler):
    """The operations tagged `users`."""

    def __init__(self, context: AccountContext, notifications: NotificationsStub) -> None:
        self._context = context
        self._notifications = notifications

    async def sign_up(self, *, body: SignUpRequest) -> Response[User]:
        """Makes an account. A deliverer waits for an admin to give the role."""
        role = Role.customer if body.role is SignUpRole.customer else None
        account = await accounts.sign_up(
            self._context.repository, self._context.identity, self._context.clock, body, role
        )
        return Response(_to_user(account), {"Location": "/api/v1/users/me"})

    async def confirm_sign_up(self, *, forwarded_for: str, body: ConfirmSignUpRequest) -> None:
        """Takes a mailed code."""
        async with self._context.rate_limiter.limit(None, self._context.client_address(forwarded_for)):
            await accounts.confirm_email(
                self._context.repository, self._context.identity, self._context.clock, body.code
            )

    async def resend_verification(self, *, body: EmailOnly) -> None:
        """Mails another code, if there is somebody to mail it to."""
        await self._request_code(CodePurpose.EMAIL_VERIFICATION, body.email)

    async def request_password_reset(self, *, body: EmailOnly) -> None:
        """Mails a code, if there is somebody to mail it to."""
        await self._request_code(CodePurpose.PASSWORD_RESET, body.email)

    async def change_email(self, *, principal: Principal, body: EmailOnly) -> None:
        """Mails a code to the new address."""
        account = await profiles.get_profile(self._context.repository, principal)
        await self._request_code(CodePurpose.EMAIL_CHANGE, body.email, account.id)

    async def _request_code(self, purpose: CodePurpose, email: str, user_id: str | None = None) -> None:
        await verification_codes.request_code(self._context.repository, purpose, email, user_id)
        self._context.notify_mailer()

    async def reset_password(self, *, forwarded_for: str, body: ResetPasswordRequest) -> None:
        """A new password for a mailed code."""
        of, address = self._context, self._context.client_address(forwarded_for)
        await passwords.reset_password(
            of.repository, of.identity, of.rate_limiter, of.clock, body.code, body.password, address
        )

    async def change_password(self, *, principal: Principal, forwarded_for: str, body: ChangePasswordRequest) -> None:
        """A new password for the old one."""
        of, address = self._context, self._context.client_address(forwarded_for)
        await passwords.change_password(
            of.repository, of.identity, of.rate_limiter, principal, body.old_password, body.new_password, address
        )

    async def get_profile(self, *, principal: Principal) -> Response[User]:
        """One's own profile."""
        return _to_profile_response(await profiles.get_profile(self._context.repository, principal))

    async def update_profile(
        self, *, principal: Principal, body: ProfilePatch, if_match: str | None = None
    ) -> Response[User]:
        """Changes one's own profile."""
        return _to_profile_response(await profiles.update_profile(self._context.repository, principal, body, if_match))

    async def delete_profile(self, *, principal: Principal) -> None:
        """Deletes one's own account."""
        await accounts.delete_account(
            self._context.repository, self._context.identity, self._context.image_store, self._context.clock, principal
        )

    async def put_avatar(self, *, principal: Principal, body: Upload) -> Response[User]:
        """Another picture."""
        return _to_profile_response(
            await avatars.set_avatar(self._context.repository, self._context.image_store, principal, body)
        )

    async def get_avatar(self, *, principal: Principal) -> Response[BinaryResponse]:
        """One's own picture."""
        etag, picture = await avatars.get_avatar(self._context.repository, self._context.image_store, principal)
        return Response(picture, {"ETag": etag, "Cache-Control": CACHE_CONTROL_REVALIDATE})

    async def delete_avatar(self, *, principal: Principal) -> None:
        """No picture any more."""
        await avatars.delete_avatar(self._context.repository, self._context.image_store, principal)

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
        page = await profiles.list_accounts(
            self._context.repository, page_size, page_token or "", AccountFilter(role, approved, q)
        )
        return UserPage(items=list(map(_to_user, page.items)), next_page_token=none_to_unset(page.next_page_token))

    async def set_user_role(self, *, principal: Principal, user_id: str, body: SetUserRoleRequest) -> User:
        """Another role."""
        return _to_user(await profiles.set_role(self._context.repository, self._context.identity, user_id, body.role))

    async def list_my_notifications(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> NotificationPage:
        """What one was told."""
        request = ListMyNotificationsRequest(page_size=page_size, page_token=page_token or "")
        return await self._notifications.list_my_notifications(request, pages.notification_page)


class Sessions(SessionsHandler):
    """The operations tagged `sessions`."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def sign_in(self, *, forwarded_for: str, body: SignInRequest) -> Session:
        """E-mail and password against tokens."""
        of, address = self._context, self._context.client_address(forwarded_for)
        return _to_session(await passwords.sign_in(of.identity, of.rate_limiter, body.email, body.password, address))

    async def refresh_session(self, *, body: RefreshSessionRequest) -> Session:
        """A refresh token against tokens."""
        return _to_session(await self._context.identity.refresh_session(body.refresh_token))

    async def sign_out(self, *, principal: Principal) -> None:
        """Ends every session of the account; one that is gone has none."""
        try:
            await self._context.identity.revoke_refresh_tokens(principal.user_id)
        except ApiError as refused:
            if refused.reason is not Reason.USER_NOT_FOUND:
                raise


def _to_session(tokens: SessionTokens) -> Session:
    return Session(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
        user_id=tokens.user_id,
    )


def _to_profile_response(account: Account) -> Response[User]:
    return Response(_to_user(account), {"ETag": account.etag})


def _to_user(account: Account) -> User:
    return User(
        id=account.id,
        email=account.email,
        email_verified=account.email_verified,
        first_name=account.first_name,
        last_name=account.last_name,
        phone=none_to_unset(account.phone),
        birth_date=none_to_unset(account.birth_date),
        role=none_to_unset(None if account.role is None else Role(account.role)),
        locale=none_to_unset(account.locale),
        time_zone=none_to_unset(account.time_zone),
        notif_token=none_to_unset(account.notif_token),
        avatar_url=none_to_unset(None if account.avatar is None else AVATAR_PATH),
    )
