"""Ports of the use cases: protocols that the outbound adapters implement."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from generated.events import GatewayEvent
from services.gateway.domain.accounts import (
    Account,
    AccountFilter,
    SessionTokens,
    VerificationCode,
)
from services.gateway.domain.images import Image
from services.runtime.core.repository import TimeKey


class IdentityProvider(Protocol):
    """Provider of e-mail addresses, passwords and roles. Every method raises ApiError: UPSTREAM_UNAVAILABLE."""

    async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
        """Create an account. Raises ApiError: EMAIL_TAKEN, ACCOUNT_REFUSED."""

    async def exists(self, user_id: str) -> bool:
        """Return whether the account exists."""

    async def delete(self, user_id: str) -> None:
        """Delete an account, if it exists."""

    async def mark_email_verified(self, user_id: str) -> None:
        """Mark the e-mail address as verified. Raises ApiError: USER_NOT_FOUND, ACCOUNT_REFUSED."""

    async def change_email(self, user_id: str, email: str) -> None:
        """Set another, verified, e-mail address. Raises ApiError: EMAIL_TAKEN, USER_NOT_FOUND, ACCOUNT_REFUSED."""

    async def set_password(self, user_id: str, password: str) -> None:
        """Set the password and end every session. Raises ApiError: USER_NOT_FOUND, ACCOUNT_REFUSED."""

    async def set_role(self, user_id: str, role: str) -> None:
        """Set the role claim of access tokens issued from now on. Raises ApiError: USER_NOT_FOUND, ACCOUNT_REFUSED."""

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        """Prevent or permit new sessions. Disabling ends every session. Raises ApiError: USER_NOT_FOUND."""

    async def sign_in(self, email: str, password: str) -> SessionTokens:
        """Exchange the credentials for tokens. Raises ApiError: CREDENTIALS_INVALID, also for an unknown address."""

    async def refresh_session(self, refresh_token: str) -> SessionTokens:
        """Exchange a refresh token for new tokens. Raises ApiError: REFRESH_TOKEN_INVALID."""

    async def revoke_refresh_tokens(self, user_id: str) -> None:
        """Revoke all refresh tokens of the account. Raises ApiError: USER_NOT_FOUND, ACCOUNT_REFUSED."""


class LoginRateLimiter(Protocol):
    """Limit of failed attempts to guess a password or a code."""

    def limit(self, account: str | None, client_address: str) -> AbstractAsyncContextManager[None]:
        """Count a failure unless the block succeeds. Raises ApiError: TOO_MANY_REQUESTS, UPSTREAM_UNAVAILABLE."""


class ImageStore(Protocol):
    """Images in object storage. Every method raises ApiError: UPSTREAM_UNAVAILABLE."""

    async def add(self, folder: str, image: Image) -> str:
        """Normalise and store an image. Returns its name. Raises ApiError: PICTURE_REFUSED, UNSUPPORTED_MEDIA_TYPE."""

    async def get(self, name: str) -> Image | None:
        """Return the image."""

    async def delete(self, name: str) -> None:
        """Delete the image, if it exists."""

    async def delete_orphans(self, folder: str, referenced_names: set[str], min_age: timedelta) -> int:
        """Delete the folder's images that are older than `min_age` and not referenced. Returns their number."""


class AccountReader(Protocol):
    """Read access to active accounts."""

    async def get_account(self, user_id: str) -> Account | None:
        """Return the active account."""

    async def get_account_by_email(self, email: str) -> Account | None:
        """Return the active account with the address."""


class Repository(AccountReader, Protocol):
    """Accounts and verification codes. Every method is one transaction."""

    async def list_accounts(self, size: int, before: TimeKey | None, account_filter: AccountFilter) -> list[Account]:
        """Return active accounts, newest first, after the key (created_at, id) of the previous page."""

    async def change_account(
        self, user_id: str, change: Callable[[Account], Account], *, revoke_tokens: bool = False
    ) -> Account | None:
        """Lock the active account, save what `change` returns and publish the change, unless it returns its argument.

        Returns the result of `change`, or None if there is no such account. Nothing is saved if `change` raises.
        """

    async def revoke_tokens(self, user_id: str, revoked_at: datetime, *events: GatewayEvent) -> None:
        """Revoke the user's access tokens that were issued until `revoked_at`, and publish the events."""

    async def get_code(self, digest: bytes, now: datetime) -> VerificationCode | None:
        """Return the unexpired code with the digest."""

    def use_code(self, code: VerificationCode) -> AbstractAsyncContextManager[None]:
        """Use a code up and mark its address as the account's verified one, both at the end of the block.

        If the block raises, the code remains valid. A change of the address or the password also deletes the account's
        other codes and mails the old address; that of the password revokes the account's access tokens.

        Raises ApiError: CODE_INVALID before the block if the code was used, or another request uses one of the account.
        """

    async def list_avatar_names(self) -> set[str]:
        """Return the object names of all avatars."""
