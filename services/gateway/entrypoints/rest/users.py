"""REST handlers of accounts, profiles and sessions."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.rest.delivery.forwarding_handlers import ForwardingUsersHandler
from generated.rest.delivery.handlers import SessionsHandler
from generated.rest.delivery.models import (
    ChangeEmailRequest,
    ChangePasswordRequest,
    ConfirmSignUpRequest,
    EmailOnly,
    ProfilePatch,
    ProviderSignInRequest,
    RefreshSessionRequest,
    ResetPasswordRequest,
    Role,
    Session,
    SetUserDisabledRequest,
    SetUserRoleRequest,
    SignInRequest,
    SignUpRequest,
    SignUpRole,
    User,
    UserPage,
)
from services.gateway.domain.accounts import (
    Account,
    AccountFilter,
    CodePurpose,
    ProfileChanges,
    Registration,
)
from services.gateway.domain.images import Image
from services.gateway.domain.provider_sign_in import ProviderSignIn, SignInProvider
from services.gateway.entrypoints.rest.client_address import parse_client_address
from services.gateway.usecases import accounts, avatars, passwords, profiles, provider_sign_in, verification_codes
from services.gateway.usecases.ports import IdentityProvider, ImageStore, LoginRateLimiter
from services.gateway.usecases.token_revocations import RevokedTokens
from services.gateway.usecases.verification_codes import VerificationRepository
from services.runtime.core.clock import Clock
from services.runtime.core.pagination import PageTokenSigner
from services.runtime.core.preconditions import check_if_match
from services.runtime.core.principal import Principal
from services.runtime.rest.responses import NO_STORE
from services.runtime.rest.types import (
    BinaryResponse,
    Response,
    Upload,
    build_model,
    collect_set_fields,
    none_to_unset,
    unset_to_none,
)

AVATAR_PATH = "/api/v1/users/me/avatar"
CACHE_CONTROL_REVALIDATE = "private, no-cache"
"""The path does not change with the image, so a cached copy has to be revalidated by its ETag."""


@dataclass(frozen=True)
class AccountContext:
    """Dependencies of the handlers of users and sessions."""

    repository: VerificationRepository
    identity: IdentityProvider
    rate_limiter: LoginRateLimiter
    image_store: ImageStore
    revoked_tokens: RevokedTokens
    clock: Clock
    trusted_hops: int
    notify_codes_requested: Callable[[], None]

    def get_client_address(self, forwarded_for: str) -> str:
        """Return the client address of a request."""
        return parse_client_address(forwarded_for, self.trusted_hops)


class Users(ForwardingUsersHandler):
    """Operations tagged `users`."""

    def __init__(self, context: AccountContext, notifications: NotificationsStub, page_tokens: PageTokenSigner) -> None:
        super().__init__(notifications)
        self._context = context
        self._page_tokens = page_tokens

    async def sign_up(self, *, body: SignUpRequest) -> Response[User]:
        """Create an account. A deliverer has no role until an admin assigns it."""
        account = await accounts.sign_up(
            self._context.repository, self._context.identity, self._context.clock, _to_registration(body)
        )
        return Response(_to_user(account), {"Location": "/api/v1/users/me"})

    async def confirm_sign_up(self, *, forwarded_for: str, body: ConfirmSignUpRequest) -> None:
        """Confirm an e-mail address by a mailed code."""
        async with self._context.rate_limiter.limit(None, self._context.get_client_address(forwarded_for)):
            await accounts.confirm_email(
                self._context.repository, self._context.identity, self._context.clock, body.code
            )

    async def resend_verification(self, *, body: EmailOnly) -> None:
        """Request another verification code, which is mailed if the account exists."""
        await self._request_code(CodePurpose.EMAIL_VERIFICATION, body.email)

    async def request_password_reset(self, *, body: EmailOnly) -> None:
        """Request a password reset code, which is mailed if the account exists."""
        await self._request_code(CodePurpose.PASSWORD_RESET, body.email)

    async def change_email(self, *, principal: Principal, forwarded_for: str, body: ChangeEmailRequest) -> None:
        """Request a verification code for a new address."""
        await verification_codes.request_email_change(
            self._context.repository,
            self._context.identity,
            self._context.rate_limiter,
            self._context.clock,
            principal,
            body.email,
            unset_to_none(body.password),
            self._context.get_client_address(forwarded_for),
        )
        self._context.notify_codes_requested()

    async def _request_code(self, purpose: CodePurpose, email: str) -> None:
        await verification_codes.request_code(self._context.repository, purpose, email)
        self._context.notify_codes_requested()

    async def reset_password(self, *, forwarded_for: str, body: ResetPasswordRequest) -> None:
        """Set a new password by a mailed code."""
        await passwords.reset_password(
            self._context.repository,
            self._context.identity,
            self._context.rate_limiter,
            self._context.clock,
            body.code,
            body.password,
            self._context.get_client_address(forwarded_for),
        )

    async def change_password(self, *, principal: Principal, forwarded_for: str, body: ChangePasswordRequest) -> None:
        """Change the password; requires the old one."""
        await passwords.change_password(
            self._context.repository,
            self._context.identity,
            self._context.rate_limiter,
            self._context.clock,
            principal,
            body.old_password,
            body.new_password,
            self._context.get_client_address(forwarded_for),
        )

    async def get_profile(self, *, principal: Principal) -> Response[User]:
        """Return the caller's profile."""
        return _to_profile_response(await profiles.get_profile(self._context.repository, principal))

    async def update_profile(
        self, *, principal: Principal, body: ProfilePatch, if_match: str | None = None
    ) -> Response[User]:
        """Update the caller's profile."""

        def check_version(version: int) -> None:
            check_if_match(if_match, _format_profile_etag(principal.user_id, version))

        changes = cast(ProfileChanges, collect_set_fields(body))
        return _to_profile_response(
            await profiles.update_profile(
                self._context.repository, self._context.clock, principal, changes, check_version
            )
        )

    async def delete_profile(self, *, principal: Principal) -> None:
        """Delete the caller's account."""
        await accounts.delete_account(
            self._context.repository, self._context.identity, self._context.image_store, self._context.clock, principal
        )

    async def put_avatar(self, *, principal: Principal, body: Upload) -> Response[User]:
        """Replace the caller's avatar."""
        image = Image(body.media_type, body.content)
        return _to_profile_response(
            await avatars.set_avatar(self._context.repository, self._context.image_store, principal, image)
        )

    async def get_avatar(self, *, principal: Principal) -> Response[BinaryResponse]:
        """Return the caller's avatar."""
        tag, image = await avatars.get_avatar(self._context.repository, self._context.image_store, principal)
        headers = {"ETag": f'"{tag}"', "Cache-Control": CACHE_CONTROL_REVALIDATE}
        return Response(BinaryResponse(image.media_type, image.content), headers)

    async def delete_avatar(self, *, principal: Principal) -> None:
        """Delete the caller's avatar."""
        await avatars.delete_avatar(self._context.repository, self._context.image_store, principal)

    async def list_users(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        role: Role | None = None,
        approved: bool | None = None,
        disabled: bool | None = None,
        q: str | None = None,
    ) -> UserPage:
        """Return a page of accounts."""
        token = self._page_tokens.verify("listUsers", page_token or "")
        account_filter = AccountFilter(role, approved, disabled, q)
        page = await profiles.list_accounts(self._context.repository, page_size, token, account_filter)
        next_token = None if page.next_page_token is None else self._page_tokens.sign("listUsers", page.next_page_token)
        return UserPage(items=list(map(_to_user, page.items)), next_page_token=none_to_unset(next_token))

    async def set_user_role(self, *, principal: Principal, user_id: str, body: SetUserRoleRequest) -> User:
        """Assign a role."""
        return _to_user(
            await profiles.set_role(
                self._context.repository, self._context.identity, self._context.clock, user_id, body.role
            )
        )

    async def set_user_disabled(self, *, principal: Principal, user_id: str, body: SetUserDisabledRequest) -> None:
        """Disable or enable an account."""
        await profiles.set_disabled(
            self._context.repository, self._context.identity, self._context.clock, user_id, disabled=body.disabled
        )


class Sessions(SessionsHandler):
    """Operations tagged `sessions`."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def sign_in(self, *, forwarded_for: str, body: SignInRequest) -> Session:
        """Exchange e-mail address and password for tokens."""
        tokens = await passwords.sign_in(
            self._context.identity,
            self._context.rate_limiter,
            self._context.revoked_tokens,
            body.email,
            body.password,
            self._context.get_client_address(forwarded_for),
        )
        return build_model(Session, tokens)

    async def sign_in_with_provider(self, *, body: ProviderSignInRequest) -> Session:
        """Exchange the id token of a provider for tokens."""
        tokens = await provider_sign_in.sign_in_with_provider(
            self._context.repository,
            self._context.identity,
            self._context.revoked_tokens,
            self._context.clock,
            ProviderSignIn(**collect_set_fields(body) | {"provider": SignInProvider(body.provider)}),
        )
        return build_model(Session, tokens)

    async def refresh_session(self, *, body: RefreshSessionRequest) -> Session:
        """Exchange a refresh token for new tokens."""
        tokens = await passwords.refresh_session(
            self._context.identity, self._context.revoked_tokens, body.refresh_token
        )
        return build_model(Session, tokens)

    async def sign_out(self, *, principal: Principal) -> None:
        """End every session of the account."""
        await passwords.sign_out(self._context.repository, self._context.identity, self._context.clock, principal)


def _to_registration(body: SignUpRequest) -> Registration:
    role = Role.customer if body.role is SignUpRole.customer else None
    return Registration(**collect_set_fields(body) | {"role": role})


def _to_profile_response(account: Account) -> Response[User]:
    headers = {"ETag": _format_profile_etag(account.id, account.version), "Cache-Control": NO_STORE}
    return Response(_to_user(account), headers)


def _format_profile_etag(user_id: str, version: int) -> str:
    """Return the ETag of a profile. It differs between users, who may share a path and a version in one browser."""
    return f'"{hashlib.sha256(user_id.encode()).hexdigest()[:16]}-{version}"'


def _to_user(account: Account) -> User:
    role = None if account.role is None else Role(account.role)
    return build_model(User, account, role=role, avatar_url=None if account.avatar is None else AVATAR_PATH)
